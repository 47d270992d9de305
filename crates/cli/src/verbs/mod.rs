//! The verbs, one a file.

pub(crate) mod cancel;
pub(crate) mod function;
#[cfg(feature = "local")]
pub(crate) mod local;
pub(crate) mod logs;
#[cfg(feature = "local")]
pub(crate) mod run;
pub(crate) mod schema;
#[cfg(feature = "local")]
pub(crate) mod trace;
pub(crate) mod validate;
pub(crate) mod worker;

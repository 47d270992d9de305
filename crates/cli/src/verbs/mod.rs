//! The verbs, one a file.

pub(crate) mod cancel;
pub(crate) mod comment;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod function;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod list;
#[cfg(feature = "local")]
pub(crate) mod local;
pub(crate) mod logs;
pub(crate) mod rerun;
#[cfg(feature = "local")]
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod submit;
#[cfg(feature = "local")]
pub(crate) mod trace;
pub(crate) mod validate;
pub(crate) mod worker;

//! The steps of a submission, in the order of the process; both entry points share them.
//!
//! ```text
//! request ─▶ validate ─▶ reserve ─▶ (earlier) ─▶ package ─▶ upload ─▶ queue ─▶ kick_off ─▶ answer
//!            (shape)     run item    of a rerun   fetch,     key,      rows,    watchdog, flip (the commit
//!                        submitting  what has     pack,      code,     plan     point), first message
//!                                    succeeded    (reuse),   bundles
//!                                                 seal
//! ```
//!
//! A death anywhere leaves either nothing that can run, or a run that its tick will start: nothing runs before the flip,
//! and at the flip everything is in its place and the tick is running.

pub mod answer;
pub mod digest;
mod documents;
pub mod earlier;
pub mod kick_off;
pub mod locations;
pub mod package;
pub mod request;
pub mod reserve;
pub mod reuse;
pub mod settings;
pub mod shape;
mod sources;
pub mod submit;
pub mod upload;
pub mod validate;

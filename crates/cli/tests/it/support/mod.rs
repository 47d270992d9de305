//! What the tests are written with: an embedded AWS of their own ([`stack`]), jobs ([`job`]), runs ([`run`]) and the
//! model of how a run must look when it is over ([`expect`]).
//!
//! The checks read what is stored and share no code with the engine's decisions.

pub(crate) mod aws_exe;
pub(crate) mod consistency;
pub(crate) mod expect;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod job;
pub(crate) mod refused;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod stack;
pub(crate) mod start_log;
pub(crate) mod wait;

pub(crate) use common::status::Outcome::{Cancelled, Failed, Succeeded, TimedOut};
pub(crate) use expect::expect;
pub(crate) use job::job;
pub(crate) use stack::Stack;
pub(crate) use start_log::StartLog;

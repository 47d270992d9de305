//! What the tests are written with: an embedded AWS of their own ([`stack`]), jobs ([`job`]), runs ([`run`]) and the
//! model of how a run must end ([`expect`]).
//!
//! Whether everything that is stored agrees is for the crate `checker` to say, which shares no code with the engine.

pub(crate) mod aws_exe;
pub(crate) mod canary;
pub(crate) mod collector;
pub(crate) mod expect;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod job;
pub(crate) mod lease;
pub(crate) mod refused;
pub(crate) mod run;
pub(crate) mod scan;
mod screens;
pub(crate) mod stack;
pub(crate) mod start_log;
pub(crate) mod terminal;
pub(crate) mod wait;

pub(crate) use collector::Collector;
pub(crate) use common::status::Outcome::{Cancelled, Failed, Succeeded, TimedOut};
pub(crate) use expect::expect;
pub(crate) use job::job;
pub(crate) use stack::Stack;
pub(crate) use start_log::StartLog;

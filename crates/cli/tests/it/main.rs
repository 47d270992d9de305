//! The engine's behaviour from outside: the real binary, its functions as processes, the embedded AWS, the real SDKs.
//!
//! Each test has an embedded AWS of its own and ends by holding everything that is stored against a model of the
//! outcome ([`support::expect`]). Nothing is timed: everything is awaited, with one generous limit.
#![cfg(feature = "local")]

mod support;

mod bad_input;
mod bad_sources;
mod cancel;
mod delivery;
mod deployment;
mod dispatching;
mod documents;
mod entry;
mod environment;
mod figures;
mod fleets;
mod isolation;
mod large;
mod lease;
mod logs;
mod lost;
mod outcomes;
mod parallel;
mod run_ids;
mod secrets;
mod sources;
mod sweep;
mod targets;
mod terraform;
mod timeouts;
mod verb_cancel;
mod verb_logs;
mod verb_run;
mod verbs;
mod wakes;

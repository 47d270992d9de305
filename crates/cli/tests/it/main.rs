//! The engine's behaviour from outside: the real binary, its functions as processes, the embedded AWS, the real SDKs.
//!
//! Each test has an embedded AWS of its own and ends by holding everything that is stored against a model of the
//! outcome ([`support::expect`]). Nothing is timed: everything is awaited, with one generous limit.
#![cfg(feature = "local")]

mod support;

mod bad_input;
mod bad_sources;
mod calls;
mod cancel;
mod delivery;
mod deployment;
mod dispatching;
mod documents;
mod entry;
mod environment;
mod figures;
mod fleets;
mod hostile_results;
mod isolation;
mod large;
mod large_documents;
mod lease;
mod logs;
mod lost;
mod outcomes;
mod parallel;
mod reference;
mod rerun;
mod rerun_submissions;
mod run_ids;
mod screens;
mod secrets;
mod sources;
mod sweep;
mod targets;
mod terraform;
mod timeouts;
mod traces;
mod verb_cancel;
mod verb_comment;
mod verb_init;
mod verb_logs;
mod verb_rerun;
mod verb_run;
mod verb_submit;
mod verbs;
mod wakes;
mod watchdogs;

//! The engine's behaviour from outside: the real binary, its functions as processes, the embedded AWS, the real SDKs.
//!
//! Each test has an embedded AWS of its own and ends by holding everything that is stored against a model of the
//! outcome ([`support::expect`]). Nothing is timed: everything is awaited, with one generous limit.
#![cfg(feature = "local")]

mod support;

mod cancel;
mod delivery;
mod dispatching;
mod large;
mod lease;
mod logs;
mod outcomes;
mod parallel;
mod run_ids;
mod sweep;
mod timeouts;

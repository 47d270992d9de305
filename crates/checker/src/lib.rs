//! The checker: whether everything that is stored about a run, and what its commands themselves wrote down, agrees with
//! what is promised.
//!
//! ```text
//!  DynamoDB ─┐
//!  S3       ─┼─ gather ─▶ Evidence ─▶ check ─▶ violations, each with its invariant's number
//!  start log ┘                │  └──▶ unchanged (two looks at one run)
//!                             └─▶ JSON: a case that failed can be kept and looked at again
//! ```
//!
//! It speaks from the contract alone and shares no code with the engine: it has its own reading of letters, times, claims
//! and jobs, and its own naive idea of what follows from what. [`check`] holds for every completed run, whatever faults
//! there were. For runs that met no or few faults there is more: [`expected`] says how the orders must end when their own
//! outcomes are known, [`punctual`] finds what took too long.
//!
//! **Two kinds of time.** Claims, results, rows, events and S3's `Last-Modified` have the stack's time, which in tests may
//! pass faster than the machine's. What commands write down has the machine's, or none where the two are not the same.
//! Only like is compared with like.

mod evidence;
mod expected;
mod gather;
mod job;
mod letters;
mod punctual;
mod rules;
mod starts;
mod times;
mod unchanged;
mod view;

pub use evidence::{Evidence, Names, Stored};
pub use expected::expected;
pub use gather::GatherError;
pub use punctual::punctual;
pub use rules::{Violation, check};
pub use starts::{Start, Started, commands, untimed_commands};
pub use unchanged::unchanged;

/// Name of the parameter with the run's own key, which is to be gone soon after the end (invariant 20). `ssm_prefix` is
/// the deployment's `SSM_PREFIX`.
pub fn key_parameter(ssm_prefix: &str, run_id: &str) -> String {
    format!("/{ssm_prefix}/sops-keys/{run_id}")
}

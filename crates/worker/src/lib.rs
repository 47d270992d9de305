//! The worker: fetch → unlock → claim → run → report.

pub mod capture;
mod group;
pub mod harden;
pub mod leftovers;
pub mod mask;
pub mod run;

//! The worker: fetch → unlock → claim → run → report.

pub mod capture;
pub mod collect;
mod group;
pub mod harden;
pub mod leftovers;
pub mod mask;
pub mod run;
pub mod workspace;

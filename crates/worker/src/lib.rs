//! The worker: fetch → unlock → claim → run → report.

pub mod mask;

//! What the machine roles log: JSON lines on standard error, which Lambda and CodeBuild keep.

use tracing_subscriber::EnvFilter;

/// Starts logging for a machine role. `RUST_LOG` chooses what; the default is the engine's own information and
/// everybody's warnings.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,common=info,orchestrator=info,watchdog_check=info,worker=info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(std::io::stderr).init();
}

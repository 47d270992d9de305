//! `aws-exe local`: keeps the embedded AWS up until it is told to end.

use tokio::signal::unix::{SignalKind, signal};

use serde_json::json;

use crate::{
    args::LocalArgs,
    code::Code,
    embedded::{self, Wanted},
    exit::Exit,
    failure::Failure,
    output::{Event, Output},
};

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn local(args: LocalArgs, output: &Output) -> Result<Exit, Failure> {
    if args.env {
        let exports = embedded::exports(args.port);
        output.finish(&json!({"exports": exports}), || format!("{exports}\n"))?;
        return Ok(Exit::Success);
    }
    let watch = |kind| {
        signal(kind).map_err(|error| Failure::new(Code::MachineFailed, format!("failed to watch for signals: {error}")))
    };
    let (mut terminate, mut interrupt) = (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    let wanted = Wanted {
        port: args.port,
        data: args.data,
        concurrency: args.concurrency,
        instances: args.instances,
        testing: &args.testing,
    };
    let embedded = embedded::start(wanted).await?;
    let endpoint = embedded.endpoint();
    output.event(&Event::Ready { endpoint: &endpoint })?;
    output.text(&format!("ready: {endpoint}\n"))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let ended = embedded.shutdown().await;
    ended.map_err(|error| Failure::new(Code::EmbeddedFailed, format!("failed to end cleanly: {error}")))?;
    output.finish(&json!({"endpoint": endpoint}), String::new)?;
    Ok(Exit::Success)
}

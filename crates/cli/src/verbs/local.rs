//! `aws-exe local`: keeps the embedded AWS up until it is told to end.

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::LocalArgs,
    embedded::{self, Wanted},
    exit::{Exit, Failure},
};

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn local(args: LocalArgs) -> Result<Exit, Failure> {
    if args.env {
        println!("{}", embedded::exports(args.port));
        return Ok(Exit::Success);
    }
    let watch = |kind| signal(kind).map_err(|error| Failure::machine(format!("failed to watch for signals: {error}")));
    let (mut terminate, mut interrupt) = (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    let wanted = Wanted {
        port: args.port,
        data: args.data,
        concurrency: args.concurrency,
        instances: args.instances,
        testing: &args.testing,
    };
    let embedded = embedded::start(wanted).await?;
    println!("ready: {}", embedded.endpoint());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    embedded.shutdown().await.map_err(|error| Failure::machine(format!("failed to end cleanly: {error}")))?;
    Ok(Exit::Success)
}

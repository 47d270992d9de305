//! Ctrl-C and SIGTERM, counted from the moment they are watched for.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{code::Code, failure::Failure};

/// How many there were.
pub(crate) struct Interrupts {
    seen: watch::Receiver<u32>,
}

impl Interrupts {
    /// Watches for them from now on.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let of = |kind| {
            signal(kind)
                .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to watch for signals: {error}")))
        };
        let (mut interrupt, mut terminate) = (of(SignalKind::interrupt())?, of(SignalKind::terminate())?);
        let (tell, seen) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    () = tell.closed() => return,
                }
                tell.send_modify(|seen| *seen += 1);
            }
        });
        Ok(Self { seen })
    }

    /// Waits until there were so many.
    pub(crate) async fn reach(&self, count: u32) {
        let mut seen = self.seen.clone();
        if seen.wait_for(|seen| *seen >= count).await.is_err() {
            // The watching task ends after this does.
            std::future::pending::<()>().await;
        }
    }
}

//! Watching for a request to stop: `stop.json` beside the claim.

use std::time::Duration;

use common::{claim::StopRequest, clock::Clock, status::Outcome};
use tokio::sync::watch;

use crate::{desk::Desk, run::Stop};

/// How often the worker looks. Most orders end before the first time.
const LOOK: Duration = Duration::from_secs(5);

/// Looks again and again, until there is a request; then tells it. Ends only by being dropped.
pub(crate) async fn watch_for(desk: &Desk<'_>, clock: Clock, tell: &watch::Sender<Option<Stop>>) {
    loop {
        clock.sleep(LOOK).await;
        match desk.stop_request().await {
            Ok(None) => {}
            Ok(Some(request)) => {
                tell.send_replace(Some(Stop::from(request)));
                return std::future::pending().await;
            }
            // The next look may see it; if none does, whoever asked writes the result in the end.
            Err(error) => tracing::warn!(%error, "cannot look for a request to stop"),
        }
    }
}

impl From<StopRequest> for Stop {
    fn from(request: StopRequest) -> Self {
        match request.status {
            Outcome::TimedOut => Self::TimedOut { reason: request.reason },
            Outcome::Cancelled | Outcome::Failed | Outcome::Succeeded => Self::Cancelled { reason: request.reason },
        }
    }
}

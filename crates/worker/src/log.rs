//! The whole log in S3, `logs/<run_id>/<order_num>.log`, of an instance `logs/<run_id>/<order_num>/<instance_id>.log`: put
//! when the order runs for more than a few seconds or writes more than `result.json` holds, and put again while it grows.

use std::time::Duration;

use common::{aws::AwsError, clock::Clock};

use crate::{desk::Desk, spool::Spool};

/// Pause between two puts of a short log …
const REFRESH: Duration = Duration::from_secs(3);
/// … and how many bytes make it one pause longer: a long log is put less often, so that its traffic stays bounded.
const BYTES_A_PAUSE: u64 = 4 << 20;

/// Where the log goes.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    pub(crate) desk: &'a Desk<'a>,
    /// The masked output on this machine.
    pub(crate) spool: &'a Spool,
    pub(crate) clock: Clock,
}

impl Log<'_> {
    /// Puts the log again and again while the output grows. Ends only by being dropped.
    pub(crate) async fn refresh(&self) {
        let mut put = 0;
        loop {
            let pauses = 1 + put / BYTES_A_PAUSE;
            self.clock.sleep(REFRESH * u32::try_from(pauses).unwrap_or(u32::MAX)).await;
            let now = self.spool.bytes();
            if now == put {
                continue;
            }
            match self.put().await {
                Ok(()) => put = now,
                // The last put, at the end, counts; this one only shows the way.
                Err(error) => tracing::warn!(%error, "the log is behind"),
            }
        }
    }

    /// Puts the log as it is.
    pub(crate) async fn put(&self) -> Result<(), AwsError> {
        self.desk.put_log(self.spool.file()).await
    }
}

/// Whether an order's log is worth an object of its own.
pub(crate) fn is_worth_it(truncated: bool, ran: Duration) -> bool {
    truncated || ran > REFRESH
}

//! The key of the run whose order came last: a warm worker mostly gets the next order of the same run, and need not ask
//! Parameter Store for each.

use std::{sync::Arc, time::Duration};

use common::{
    aws::{Aws, AwsError},
    clock::Timestamp,
    credentials,
    ids::RunId,
    sops::Identity,
};
use tokio::sync::Mutex;

use crate::Dispatch;

/// How long a key is kept at most: as long as Lambda lets one invocation last.
const KEPT: Duration = Duration::from_secs(900);

/// One key, of one run. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastKey(Arc<Mutex<Option<Kept>>>);

#[derive(Debug)]
struct Kept {
    run: RunId,
    /// Where it came from: a job may name another key than the run's own.
    path: String,
    at: Timestamp,
    identity: Identity,
}

impl LastKey {
    /// The key of the dispatch's run, read if it is not at hand.
    pub(crate) async fn of(&self, aws: &Aws, dispatch: &Dispatch, now: Timestamp) -> Result<Identity, AwsError> {
        let (run, path) = (&dispatch.run_id, &dispatch.sops_key_ssm_path);
        let mut last = self.0.lock().await;
        if let Some(kept) = last.as_ref().filter(|kept| kept.is_good_for(run, path, now)) {
            return Ok(kept.identity.clone());
        }
        // Before the next one is asked for: no key is kept for the orders of another run.
        *last = None;
        let identity = credentials::run_key(aws, path).await?;
        *last = Some(Kept { run: run.clone(), path: path.clone(), at: now, identity: identity.clone() });
        Ok(identity)
    }
}

impl Kept {
    fn is_good_for(&self, run: &RunId, path: &str, now: Timestamp) -> bool {
        &self.run == run && self.path == path && now < self.at.plus(KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_good_for_its_run_and_its_place_and_a_while() {
        let at = Timestamp::from_secs(1_000);
        let (run, other): (RunId, RunId) = ("r".parse().unwrap(), "s".parse().unwrap());
        let kept = Kept { run: run.clone(), path: "/k".to_owned(), at, identity: Identity::generate() };
        assert!(kept.is_good_for(&run, "/k", at));
        assert!(kept.is_good_for(&run, "/k", at.plus(Duration::from_secs(899))));
        assert!(!kept.is_good_for(&run, "/k", at.plus(KEPT)));
        assert!(!kept.is_good_for(&other, "/k", at));
        assert!(!kept.is_good_for(&run, "/l", at));
    }
}

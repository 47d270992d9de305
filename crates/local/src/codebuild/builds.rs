//! All builds, and each with the file that keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::clock::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{codebuild::record::Record, files};

/// How long an idempotency token counts, as on AWS.
const TOKEN_LIFE: Duration = Duration::from_mins(5);

/// A build.
#[derive(Debug)]
pub(crate) struct Build {
    record: Mutex<Record>,
    file: Option<PathBuf>,
    /// `StopBuild` was called.
    pub(crate) stop: CancellationToken,
}

impl Build {
    /// One with what is known of it, and where that is kept.
    pub(crate) fn new(record: Record, file: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { record: Mutex::new(record), file, stop: CancellationToken::new() })
    }

    /// Looks at what is known.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        read(&self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is known; [`Build::save`] is to follow. Only the task that runs the build does so.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Saves what is known, if that is kept.
    pub(crate) async fn save(&self) {
        let Some(file) = &self.file else { return };
        let saved = match self.read(serde_json::to_vec) {
            Ok(content) => files::replace(file, content).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = saved {
            tracing::error!(%error, file = %file.display(), "a build could not be saved");
        }
    }
}

/// All builds.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    pub(crate) by_number: BTreeMap<u64, Arc<Build>>,
    /// Numbers by the part of the id behind the project's name.
    numbers: HashMap<String, u64>,
    /// How many have not ended.
    pub(crate) active: usize,
}

impl Builds {
    /// Adds one.
    pub(crate) fn insert(&mut self, build: &Arc<Build>) {
        let (uuid, number, active) =
            build.read(|record| (record.uuid.clone(), record.number, usize::from(record.ended.is_none())));
        self.numbers.insert(uuid, number);
        self.by_number.insert(number, Arc::clone(build));
        self.active += active;
    }
    /// A build by the part of its id behind the project's name.
    pub(crate) fn find(&self, uuid: &str) -> Option<Arc<Build>> {
        self.numbers.get(uuid).and_then(|number| self.by_number.get(number)).cloned()
    }

    /// The build that was started under a token a short while ago, and whether by the same request.
    pub(crate) fn under_token(&self, token: &str, request: &Value, now: Timestamp) -> Option<(Arc<Build>, bool)> {
        let is_recent = |build: &&Arc<Build>| build.read(|record| record.started.until(now) < TOKEN_LIFE);
        let recent = self.by_number.values().rev().take_while(is_recent);
        recent.into_iter().find_map(|build| {
            let same = build.read(|record| {
                let known = record.token.as_ref().filter(|known| known.token == token)?;
                Some(known.request == *request)
            })?;
            Some((Arc::clone(build), same))
        })
    }
}

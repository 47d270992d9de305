//! CodeBuild: one project, whose builds are processes of this machine.
//!
//! ```text
//!   mod.rs        the operations                      builds.rs     all builds, and each with its file
//!   request.rs    what StartBuild asks for: pure      project.rs    the project
//!   record.rs     what is known of a build: pure      describe.rs   as the API and events show it: pure
//!   run.rs        from the queue to the end           container.rs  folder, variables and processes
//!   buildspec.rs  what a build does: pure
//! ```
//!
//! ```text
//!   StartBuild ──▶ queue ──place free──▶ container ──▶ a shell a phase ──▶ end ──event──▶ bus
//!                    └── StopBuild, timeouts ─────────────────┴── killed ──▶ ┘
//! ```

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{errors::ApiError, events::Bus, files, ids, service::Service, timeline::Timeline};
use builds::{Build, Builds};
use container::Host;
use project::Project;
use record::{Context, PhaseKind, Record, Status};
use request::{Wanted, invalid, text};

pub(crate) mod builds;
pub(crate) mod buildspec;
pub(crate) mod container;
pub(crate) mod describe;
pub(crate) mod project;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod run;

/// The name by which calls of builds are recorded.
pub(crate) const CALLER: &str = "codebuild";

/// How many builds may wait for each that may run. On AWS as well "the maximum number of builds in a queue is five
/// times the concurrent build limit", and what is beyond is refused with `AccountLimitExceededException`.
const QUEUE_FACTOR: usize = 5;
/// Most ids in a request, and on a page, as on AWS.
const MAX_IDS: usize = 100;

/// The embedded CodeBuild.
#[derive(Debug)]
pub(crate) struct CodeBuild {
    project: Project,
    host: Host,
    bus: Bus,
    timeline: Timeline,
    quota: usize,
    places: Arc<Semaphore>,
    /// Where builds are kept, if they are.
    dir: Option<PathBuf>,
    builds: Mutex<Builds>,
    closing: CancellationToken,
    running: TaskTracker,
}

type Answer = Result<Value, ApiError>;

impl CodeBuild {
    /// Opens what is in `dir`. Nothing runs before [`CodeBuild::resume`].
    pub(crate) fn open(
        project: Project,
        host: Host,
        bus: Bus,
        concurrent_builds: usize,
        dir: Option<PathBuf>,
    ) -> io::Result<Arc<Self>> {
        let quota = concurrent_builds.max(1);
        let mut builds = Builds::default();
        for entry in dir.as_ref().map(fs::read_dir).transpose()?.into_iter().flatten() {
            let path = entry?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.extension().is_some_and(|extension| extension == "json") && !hidden {
                builds.insert(&Build::new(serde_json::from_slice(&fs::read(&path)?)?, Some(path)));
            }
        }
        Ok(Arc::new(Self {
            project,
            timeline: host.timeline.clone(),
            host,
            bus,
            quota,
            places: Arc::new(Semaphore::new(quota)),
            dir,
            builds: Mutex::new(builds),
            closing: CancellationToken::new(),
            running: TaskTracker::new(),
        }))
    }

    /// Takes up what an earlier process left: queued builds go on waiting. Those that ran have lost their container,
    /// which on AWS is the service's fault and not the build's: they end as `FAULT`, so that nobody waits for them.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let left: Vec<_> = self.lock().by_number.values().filter(|b| b.read(|record| !record.told)).cloned().collect();
        for build in left {
            let record = build.read(Clone::clone);
            if record.ended.is_some() {
                let this = Arc::clone(self);
                self.running.spawn(self.timeline.doing(async move { this.tell_end(&build).await }));
            } else if record.is_queued() {
                self.running.spawn(self.timeline.doing(Arc::clone(self).run(build)));
            } else {
                self.host.clear(&record).await;
                let (this, now) = (Arc::clone(self), self.timeline.now());
                let context = Context::new("INTERNAL_SERVICE_ERROR", "the container was lost: the embedded AWS ended");
                build.change(|record| record.close(Status::Fault, Some(context), now));
                self.running.spawn(self.timeline.doing(async move { this.end(&build, Status::Fault).await }));
            }
        }
    }

    /// Serves one call whose signature is good.
    pub(crate) fn call(self: &Arc<Self>, operation: &str, request: &Value) -> Answer {
        match operation {
            "StartBuild" => self.start(request),
            "StopBuild" => self.stop(request),
            "BatchGetBuilds" => {
                let (found, missing) =
                    partition(request, "ids", |id| self.find(id).map(|build| build.read(Record::describe)))?;
                Ok(json!({"builds": found, "buildsNotFound": missing}))
            }
            "BatchGetProjects" => {
                let describe = |name: &str| self.project.is(name).then(|| self.project.describe());
                let (found, missing) = partition(request, "names", describe)?;
                Ok(json!({"projects": found, "projectsNotFound": missing}))
            }
            "ListBuilds" => self.list(request),
            "ListBuildsForProject" => {
                self.check_project(request)?;
                self.list(request)
            }
            "ListProjects" => Ok(json!({"projects": [self.project.name]})),
            _ => Err(ApiError::unknown_operation(Service::CodeBuild, operation)),
        }
    }

    fn start(self: &Arc<Self>, request: &Value) -> Answer {
        self.check_project(request)?;
        let wanted = Wanted::of(request, &self.project)?;
        let now = self.timeline.now();
        let mut builds = self.lock();
        if let Some(token) = &wanted.token
            && let Some((known, same)) = builds.under_token(&token.token, request, now)
        {
            return if same {
                Ok(json!({"build": known.read(Record::describe)}))
            } else {
                Err(invalid("the idempotency token was used with other parameters less than five minutes ago"))
            };
        }
        let queue = self.quota * QUEUE_FACTOR;
        if builds.active >= self.quota + queue {
            let message = format!("Cannot have more than {queue} builds in queue for the account");
            return Err(ApiError::client("AccountLimitExceededException", message));
        }
        let mut record = Record {
            project: self.project.name.clone(),
            uuid: ids::request_id(),
            number: builds.by_number.last_key_value().map_or(0, |(number, _)| *number) + 1,
            token: wanted.token,
            buildspec: wanted.buildspec,
            variables: wanted.variables,
            timeout_minutes: wanted.timeout_minutes,
            queued_timeout_minutes: wanted.queued_timeout_minutes,
            started: now,
            ended: None,
            status: Status::InProgress,
            phases: Vec::new(),
            told: false,
        };
        record.enter(PhaseKind::Submitted, now);
        record.enter(PhaseKind::Queued, now);
        let file = self.dir.as_ref().map(|dir| dir.join(format!("{}.json", record.uuid)));
        if let Some(file) = &file {
            let content = serde_json::to_vec(&record).map_err(io::Error::from);
            content.and_then(|content| files::replace_now(file, &content)).map_err(|error| {
                ApiError::internal(Service::CodeBuild, format!("the build could not be stored: {error}"))
            })?;
        }
        let answer = json!({"build": record.describe()});
        let build = Build::new(record, file);
        builds.insert(&build);
        drop(builds);
        self.running.spawn(self.timeline.doing(Arc::clone(self).run(build)));
        Ok(answer)
    }

    /// Has a build end soon; the answer may still show it in progress, as on AWS. One that has ended stays as it is.
    fn stop(&self, request: &Value) -> Answer {
        let id = text(request, "id")?.ok_or_else(|| invalid("`id` must not be null"))?;
        let build = self.find(id).ok_or_else(|| {
            let arn = crate::arn("codebuild", &format!("build/{id}"));
            ApiError::client("ResourceNotFoundException", format!("Build {arn} does not exist"))
        })?;
        build.stop.cancel();
        Ok(json!({"build": build.read(Record::describe)}))
    }

    fn list(&self, request: &Value) -> Answer {
        let builds = self.lock();
        let after = match text(request, "nextToken")? {
            Some(token) => Some(token.parse::<u64>().map_err(|_| invalid("`nextToken` is none of ours"))?),
            None => None,
        };
        let ascending = match text(request, "sortOrder")? {
            Some("ASCENDING") => true,
            None | Some("DESCENDING") => false,
            Some(other) => return Err(invalid(format!("`sortOrder` cannot be `{other}`"))),
        };
        let is_due = |number: u64| after.is_none_or(|after| if ascending { number > after } else { number < after });
        let mut page: Vec<(u64, String)> = builds
            .by_number
            .iter()
            .filter(|(number, _)| is_due(**number))
            .map(|(number, build)| (*number, build.read(Record::id)))
            .collect();
        if !ascending {
            page.reverse();
        }
        let more = page.len() > MAX_IDS;
        page.truncate(MAX_IDS);
        let last = page.last().map(|(number, _)| number.to_string());
        let ids: Vec<String> = page.into_iter().map(|(_, id)| id).collect();
        let mut answer = json!({"ids": ids});
        if let (true, Some(last)) = (more, last) {
            answer["nextToken"] = last.into();
        }
        Ok(answer)
    }

    fn check_project(&self, request: &Value) -> Result<(), ApiError> {
        let name = text(request, "projectName")?.ok_or_else(|| invalid("`projectName` must not be null"))?;
        if self.project.is(name) {
            return Ok(());
        }
        let arn = if name.starts_with("arn:") {
            name.to_owned()
        } else {
            crate::arn("codebuild", &format!("project/{name}"))
        };
        Err(ApiError::client("ResourceNotFoundException", format!("Project cannot be found: {arn}")))
    }

    /// A build by id or ARN.
    fn find(&self, reference: &str) -> Option<Arc<Build>> {
        let id = reference.rsplit_once("build/").map_or(reference, |(_, id)| id);
        let uuid = id.strip_prefix(&self.project.name)?.strip_prefix(':')?;
        self.lock().find(uuid)
    }

    /// Lets no build go on; to be called before processes are ended, so that none of these ends counts.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits until nothing of the builds is left running.
    pub(crate) async fn shutdown(&self) {
        self.running.close();
        self.running.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Builds> {
        self.builds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request names, found and not found.
fn partition(
    request: &Value,
    field: &str,
    find: impl Fn(&str) -> Option<Value>,
) -> Result<(Vec<Value>, Vec<String>), ApiError> {
    let named = request.get(field).and_then(Value::as_array).filter(|named| (1..=MAX_IDS).contains(&named.len()));
    let named = named.ok_or_else(|| invalid(format!("`{field}` must have from 1 to {MAX_IDS} entries")))?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in named {
        let name = name.as_str().ok_or_else(|| invalid(format!("`{field}` must hold texts")))?;
        match find(name) {
            Some(object) => found.push(object),
            None => missing.push(name.to_owned()),
        }
    }
    Ok((found, missing))
}

//! A build from the queue to its end.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    child,
    codebuild::{
        CodeBuild,
        builds::Build,
        buildspec::Buildspec,
        container::Container,
        record::{Context, PhaseKind, Status},
    },
};

/// Why a build does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    /// `StopBuild`.
    Stopped,
    /// Its time is over.
    TimedOut,
    /// The embedded AWS ends; the next start says what became of the build.
    Closing,
}

/// How a phase ended.
enum End {
    Ended(Status, Option<Context>),
    Interrupted(Interruption),
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

impl CodeBuild {
    /// Takes a build to its end, and tells of it.
    pub(super) async fn run(self: Arc<Self>, build: Arc<Build>) {
        self.tell(&build).await;
        let result = match self.wait(&build).await {
            Ok(place) => self.perform(&build).await.map(|status| (status, Some(place))),
            Err(interruption) => Err(interruption),
        };
        let (status, place) = match result {
            Ok(ended) => ended,
            Err(Interruption::Closing) => return,
            Err(Interruption::Stopped) => (self.cut_short(&build, Status::Stopped, None), None),
            Err(Interruption::TimedOut) => {
                let context = Context::new("BUILD_TIMED_OUT", "Build has timed out. ");
                (self.cut_short(&build, Status::TimedOut, Some(context)), None)
            }
        };
        self.end(&build, status).await;
        // Its processes are gone: another may start.
        drop(place);
    }

    /// Ends the phase that the build is in, and with it the build.
    fn cut_short(&self, build: &Build, status: Status, context: Option<Context>) -> Status {
        let now = self.timeline.now();
        build.change(|record| record.close(status, context, now));
        status
    }

    /// Records how a build ended and tells of it.
    pub(super) async fn end(&self, build: &Build, status: Status) {
        let now = self.timeline.now();
        build.change(|record| record.complete(status, now));
        self.lock().active -= 1;
        build.save().await;
        self.tell_end(build).await;
    }

    /// Tells of a build's end. Saved as told only afterwards: rather twice than never, as on AWS.
    pub(super) async fn tell_end(&self, build: &Build) {
        self.tell(build).await;
        build.change(|record| record.told = true);
        build.save().await;
    }

    /// Emits the event of the state that a build is in.
    async fn tell(&self, build: &Build) {
        let (id, arn, detail) = build.read(|record| (record.id(), record.arn(), record.detail()));
        self.bus.emit("aws.codebuild", "CodeBuild Build State Change", &arn, detail, Some(id)).await;
    }

    /// Waits for a place among the running builds.
    async fn wait(&self, build: &Build) -> Result<OwnedSemaphorePermit, Interruption> {
        let limit = build.read(|record| {
            let queued = record.phases.last().map_or(record.started, |phase| phase.started);
            self.timeline.now().until(queued.plus(minutes(record.queued_timeout_minutes)))
        });
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(Interruption::Closing),
            () = build.stop.cancelled() => Err(Interruption::Stopped),
            // The places are never closed.
            place = place => place.map_err(|_| Interruption::Closing),
            () = self.timeline.sleep(limit) => Err(Interruption::TimedOut),
        }
    }

    /// Runs a build that has its place.
    async fn perform(&self, build: &Build) -> Result<Status, Interruption> {
        let limit = minutes(build.read(|record| record.timeout_minutes));
        let mut interruption = pin!(async {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => Interruption::Closing,
                () = build.stop.cancelled() => Interruption::Stopped,
                () = self.timeline.sleep(limit) => Interruption::TimedOut,
            }
        });
        self.enter(build, PhaseKind::Provisioning).await;
        let record = build.read(Clone::clone);
        let provided = Buildspec::parse(&record.buildspec).map_err(std::io::Error::other).and_then(|spec| {
            let container = self.host.provide(&record, &spec)?;
            Ok((spec, container))
        });
        let (spec, container) = match provided {
            Ok(provided) => provided,
            Err(error) => {
                self.host.clear(&record).await;
                let context =
                    Context::new("INTERNAL_SERVICE_ERROR", format!("the container could not be made: {error}"));
                return Ok(self.cut_short(build, Status::Fault, Some(context)));
            }
        };
        let status = self.phases(build, &spec, &container, interruption.as_mut()).await;
        container.remove().await;
        status
    }

    /// Runs the phases that have commands, each unless one before it forbids it.
    async fn phases(
        &self,
        build: &Build,
        spec: &Buildspec,
        container: &Container,
        mut interruption: Pin<&mut impl Future<Output = Interruption>>,
    ) -> Result<Status, Interruption> {
        let mut result = Status::Succeeded;
        self.enter(build, PhaseKind::DownloadSource).await;
        for (kind, commands) in spec.phases() {
            self.enter(build, kind).await;
            if commands.is_empty() {
                continue;
            }
            match self.phase(container, kind, commands, result, interruption.as_mut()).await {
                End::Ended(Status::Succeeded, _) => {}
                End::Ended(status, context) => {
                    result = self.cut_short(build, status, context);
                    // After a build that failed there is still something to do; after all else there is not.
                    if (kind, status) != (PhaseKind::Build, Status::Failed) {
                        return Ok(result);
                    }
                }
                End::Interrupted(interruption) => return Err(interruption),
            }
        }
        self.enter(build, PhaseKind::UploadArtifacts).await;
        Ok(result)
    }

    /// Runs the commands of one phase; when it returns, all their processes are gone.
    async fn phase(
        &self,
        container: &Container,
        kind: PhaseKind,
        commands: &[String],
        so_far: Status,
        mut interruption: Pin<&mut impl Future<Output = Interruption>>,
    ) -> End {
        if let Some(interruption) = interruption.as_mut().now_or_never() {
            return End::Interrupted(interruption);
        }
        let mut ended = match container.start(kind, commands, so_far) {
            Ok(ended) => ended,
            Err(_) if self.closing.is_cancelled() => return End::Interrupted(Interruption::Closing),
            Err(error) => {
                let message = format!("the commands of the phase could not be started: {error}");
                return End::Ended(Status::Fault, Some(Context::new("INTERNAL_SERVICE_ERROR", message)));
            }
        };
        let status = tokio::select! {
            biased;
            status = &mut ended => status,
            interruption = interruption => {
                // At the end of the embedded AWS all processes are asked first.
                if interruption != Interruption::Closing {
                    container.running.kill();
                }
                // How it ended matters no more, only that it did.
                drop(ended.await);
                return End::Interrupted(interruption);
            }
        };
        match status {
            Ok(Ok(status)) if status.success() => End::Ended(Status::Succeeded, None),
            _ if self.closing.is_cancelled() => End::Interrupted(Interruption::Closing),
            Ok(status) => {
                let command = container.last_command(commands);
                End::Ended(Status::Failed, Some(Context::of_command(command, &child::describe(status))))
            }
            Err(error) => {
                let context =
                    Context::new("INTERNAL_SERVICE_ERROR", format!("the commands' end was not seen: {error}"));
                End::Ended(Status::Fault, Some(context))
            }
        }
    }

    async fn enter(&self, build: &Build, kind: PhaseKind) {
        let now = self.timeline.now();
        build.change(|record| record.enter(kind, now));
        build.save().await;
    }
}

//! How a command goes over its instances: who is sent it when, and who not any more.
//!
//! ```text
//!   in order ──slot (MaxConcurrency)──▶ sent ──agent, room on this machine──▶ runs ──▶ over: slot is free
//!      └── too many failed (MaxErrors): Terminated     └── too late (TimeoutSeconds): DeliveryTimedOut
//! ```
//!
//! Room on this machine is no part of AWS: all instances share it, so at most [`ROOM`] invocations run at once. One
//! that waits for room was sent, as on AWS, and is not terminated any more.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    ssm::run_command::{
        RunCommand,
        commands::{Command, Invocation, Status},
    },
    timeline::AtWork,
};

/// Most invocations that run at once, over all instances.
pub(crate) const ROOM: usize = 16;

impl RunCommand {
    /// Takes a command to all its instances, in the background.
    pub(crate) fn start(self: &Arc<Self>, command: Arc<Command>) {
        let this = Arc::clone(self);
        self.running.spawn(self.timeline.doing(async move { this.go_round(&command).await }));
    }

    async fn go_round(self: &Arc<Self>, command: &Arc<Command>) {
        let slots = Arc::new(Semaphore::new(command.concurrency()));
        for invocation in command.invocations.iter().filter(|invocation| !invocation.status().is_over()) {
            let slot = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            // Nobody closes it.
            let Ok(slot) = slot else { return };
            if command.has_failed() {
                self.end(command, invocation, Status::Terminated).await;
                continue;
            }
            let (this, command, invocation) = (Arc::clone(self), Arc::clone(command), Arc::clone(invocation));
            let at_work = self.timeline.at_work();
            self.running.spawn(async move {
                this.send(&command, &invocation, &at_work).await;
                // The next one looks whether this one has failed.
                drop(slot);
                drop(at_work);
            });
        }
    }

    async fn send(self: &Arc<Self>, command: &Command, invocation: &Arc<Invocation>, at_work: &AtWork) {
        let now = self.timeline.now();
        let Some(sent) = invocation.send(now) else { return };
        let left = now.until(sent.plus(Duration::from_secs(command.request.timeout_secs)));
        let instance = self.instances.get(&invocation.instance).filter(|instance| instance.online);
        let delivered = tokio::select! {
            biased;
            () = self.stop.cancelled() => return,
            // Whoever cancels it says so.
            () = invocation.cancel.cancelled() => return,
            room = self.room(), if instance.is_some() => room,
            () = at_work.sleep(left) => None,
        };
        let (Some(_room), Some(instance)) = (delivered, instance) else {
            self.end(command, invocation, Status::DeliveryTimedOut).await;
            return;
        };
        if !invocation.begin() {
            return;
        }
        self.tell(command, invocation, Status::InProgress).await;
        if let Some(status) = self.run(command, invocation, instance).await {
            self.end(command, invocation, status).await;
        }
    }

    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Ends an invocation, unless it is over, and tells of it.
    pub(crate) async fn end(&self, command: &Command, invocation: &Invocation, status: Status) {
        if invocation.end(status) {
            self.tell(command, invocation, status).await;
        }
    }
}

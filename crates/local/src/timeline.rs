//! Engine time inside the embedded AWS: waiting for it, and skipping the stretches in which nobody has anything to do.
//!
//! ```text
//!   at work: calls, events on their way, invocations, executions, builds, commands     AtWork
//!   waiting: a watchdog's wait, a retry, a delayed event, a limit                      sleep, AtWork::sleep
//!
//!   nobody at work ──▶ the clock is set to the end of the earliest wait ──▶ its owner is at work again
//! ```
//!
//! So an hour in which a run only waits for its watchdog takes no time at all, in the order in which things would happen
//! on AWS. Somebody at work holds an [`AtWork`], from before whoever caused it stops working, so there is no moment in
//! between. A wait stays known until its owner is at work again, so time is never skipped past one that has ended. What
//! clients do is not known here: between two of their calls time may be skipped.
//!
//! Without [`Clock::can_skip`] waits are plain sleeps, and nothing is counted.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use common::clock::{Clock, Timestamp};
use tokio::sync::watch;

/// Engine time, for everything in one embedded AWS.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    clock: Clock,
    skipping: Option<Arc<Skipping>>,
}

/// Who works and who waits, where that matters.
#[derive(Debug)]
struct Skipping {
    clock: Clock,
    state: Mutex<State>,
    /// Told when time was skipped.
    skipped: watch::Sender<()>,
    /// Told when somebody stopped working or waiting.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Below zero for a moment when a paused invocation is killed.
    at_work: i64,
    /// Ends of waits, each with a number of its own.
    waits: BTreeSet<(Timestamp, u64)>,
    next: u64,
}

impl Timeline {
    pub(crate) fn new(clock: Clock) -> Self {
        let skipping = || Skipping {
            clock,
            state: Mutex::default(),
            skipped: watch::channel(()).0,
            changed: watch::channel(()).0,
        };
        Self { clock, skipping: clock.can_skip().then(|| Arc::new(skipping())) }
    }

    /// The clock, for whoever only reads it and for processes.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Somebody works from now until this is dropped.
    pub(crate) fn at_work(&self) -> AtWork {
        if let Some(skipping) = &self.skipping {
            skipping.lock().at_work += 1;
        }
        AtWork { timeline: self.clone() }
    }

    /// Somebody works from now until this is done.
    pub(crate) fn doing<F: Future>(&self, something: F) -> impl Future<Output = F::Output> + use<F> {
        let at_work = self.at_work();
        async move {
            let output = something.await;
            drop(at_work);
            output
        }
    }

    /// Somebody who is known to be at work elsewhere does not work until this is dropped.
    pub(crate) fn rest(&self) -> Rest {
        self.skipping.as_ref().inspect(|skipping| skipping.stop_working());
        Rest { skipping: self.skipping.clone() }
    }

    /// Begins to wait for a duration of engine time. Others know of it as long as it is held.
    pub(crate) fn wait(&self, duration: Duration) -> Wait {
        Wait::begin(self.clone(), self.now().plus(duration))
    }

    /// Waits for a duration of engine time. Whoever does nothing else meanwhile uses [`AtWork::sleep`].
    pub(crate) async fn sleep(&self, duration: Duration) {
        self.wait(duration).over().await;
    }

    /// Waits until nobody is at work and nobody waits for any time to come. `false` where that is not known.
    pub(crate) async fn settled(&self) -> bool {
        let Some(skipping) = &self.skipping else { return false };
        let mut changed = skipping.changed.subscribe();
        loop {
            let is_settled = {
                let state = skipping.lock();
                state.at_work <= 0 && state.waits.is_empty()
            };
            if is_settled {
                return true;
            }
            drop(changed.changed().await);
        }
    }
}

impl Skipping {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_working(&self) {
        let mut state = self.lock();
        state.at_work -= 1;
        self.skip(state);
    }

    /// Sets the clock to the end of the earliest wait, if nobody is at work before it. Nobody begins to work or wait meanwhile.
    fn skip(&self, state: MutexGuard<'_, State>) {
        let mut has_skipped = false;
        if let (..=0, Some((earliest, _))) = (state.at_work, state.waits.first()) {
            let left = self.clock.now().until(*earliest);
            if !left.is_zero() {
                match self.clock.skip(left) {
                    Ok(()) => has_skipped = true,
                    Err(error) => tracing::error!(%error, "time could not be skipped"),
                }
            }
        }
        drop(state);
        if has_skipped {
            self.skipped.send_replace(());
        }
        self.changed.send_replace(());
    }
}

/// Somebody at work.
#[derive(Debug)]
pub(crate) struct AtWork {
    timeline: Timeline,
}

impl AtWork {
    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.timeline.now()
    }

    /// Does something for so long at most; `None` when it was not done by then.
    ///
    /// The limit is known before anything is done, and until that has been given up: what only waits, longer than the limit,
    /// would have time skipped to its own end otherwise.
    pub(crate) async fn within<F: Future>(&self, duration: Duration, something: F) -> Option<F::Output> {
        let limit = self.timeline.wait(duration);
        tokio::select! {
            biased;
            output = something => Some(output),
            () = limit.over() => None,
        }
    }

    /// Waits for a duration of engine time, doing nothing else.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let wait = self.timeline.wait(duration);
        // Dropped before the wait, when this is cancelled as well.
        let rest = self.timeline.rest();
        wait.over().await;
        drop(rest);
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(skipping) = &self.timeline.skipping {
            skipping.stop_working();
        }
    }
}

/// Somebody at work who rests.
#[derive(Debug)]
pub(crate) struct Rest {
    skipping: Option<Arc<Skipping>>,
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Some(skipping) = &self.skipping {
            skipping.lock().at_work += 1;
        }
    }
}

/// A wait that others know of.
#[derive(Debug)]
pub(crate) struct Wait {
    timeline: Timeline,
    until: Timestamp,
    number: u64,
}

impl Wait {
    fn begin(timeline: Timeline, until: Timestamp) -> Self {
        let mut number = 0;
        if let Some(skipping) = &timeline.skipping {
            let mut state = skipping.lock();
            number = state.next;
            state.next += 1;
            state.waits.insert((until, number));
            skipping.skip(state);
        }
        Self { timeline, until, number }
    }

    /// Until it is over.
    pub(crate) async fn over(&self) {
        let left = || self.timeline.now().until(self.until);
        let Some(skipping) = &self.timeline.skipping else { return self.timeline.clock.sleep(left()).await };
        let mut skipped = skipping.skipped.subscribe();
        while !left().is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.timeline.clock.machine(left())) => {}
                // Its sender lives as long as the timeline.
                _ = skipped.changed() => {}
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(skipping) = &self.timeline.skipping {
            let mut state = skipping.lock();
            state.waits.remove(&(self.until, self.number));
            skipping.skip(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> (Timeline, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::REAL.with_skips(&folder.path().join("skips")).unwrap();
        (Timeline::new(clock), folder)
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn waits_end_in_their_order_and_take_no_time_while_nobody_works() {
        let (timeline, _folder) = timeline();
        let begun = timeline.now();
        let ended = Mutex::new(Vec::new());
        let wait = async |hours: u32| {
            let at_work = timeline.at_work();
            at_work.sleep(HOUR * hours).await;
            // Each of them sees its own hour and no later one.
            ended.lock().unwrap().push(begun.until(timeline.now()).as_secs() / 3_600);
            tokio::task::yield_now().await;
        };
        // Until all of them wait somebody is at work.
        let first = timeline.at_work();
        tokio::join!(wait(5), wait(1), wait(3), async { drop(first) });
        assert_eq!(*ended.lock().unwrap(), [1, 3, 5]);
        assert!(timeline.settled().await);
    }

    #[tokio::test]
    async fn nothing_is_skipped_while_somebody_works() {
        let (timeline, _folder) = timeline();
        let begun = timeline.now();
        let at_work = timeline.at_work();
        let wait = timeline.wait(HOUR);
        assert!(begun.until(timeline.now()) < HOUR);
        let rest = timeline.rest();
        assert!(begun.until(timeline.now()) >= HOUR, "whoever rests does not work");
        wait.over().await;
        drop((wait, rest, at_work));
        assert!(timeline.settled().await);
    }

    #[tokio::test]
    async fn what_waits_too_long_is_given_up_at_its_limit() {
        let (timeline, _folder) = timeline();
        // Often enough for every order in which the two may be asked.
        for _ in 0..20 {
            let begun = timeline.now();
            let at_work = timeline.at_work();
            assert_eq!(at_work.within(HOUR, at_work.sleep(3 * HOUR)).await, None);
            assert_eq!(begun.until(timeline.now()).as_secs() / 3_600, 1);
            assert_eq!(at_work.within(3 * HOUR, at_work.sleep(HOUR)).await, Some(()));
            assert_eq!(begun.until(timeline.now()).as_secs() / 3_600, 2);
        }
        assert!(timeline.settled().await);
    }

    #[tokio::test]
    async fn a_clock_that_cannot_skip_passes_by_itself() {
        let timeline = Timeline::new(Clock::sped_up(10_000));
        let begun = timeline.now();
        timeline.at_work().sleep(Duration::from_secs(10)).await;
        assert!(begun.until(timeline.now()) >= Duration::from_secs(10));
        assert!(!timeline.settled().await);
    }
}

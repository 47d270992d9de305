//! The pass: from the lease to the commit, again as long as there is news.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use common::{
    aws::Aws,
    claim::{Claims, Ending},
    clock::Timestamp,
    events::{Event, Kind, Recorder},
    graph::{self, Evaluation, Limits, Node},
    ids::{OrderNum, RunId, fresh_nonce},
    intake::{kick_off::WAKE, upload::delete_key},
    keys::{self, Callback},
    ledger::Ledger,
    objects::Objects,
    plan::{self, Plan, PlannedOrder, SCHEMA_VERSION},
    rows::Rows,
    run_item::{RunItem, RunItems, RunStatus, Written},
    status::{Outcome, Status},
};

use crate::{
    Budget, PassError, Settings, is_narrow,
    lease::{self, Lease},
    results::News,
    trace::{self, Tally},
};

/// Plans that a warm orchestrator keeps: a few, because one of 9,999 orders has some megabytes.
const PLANS: usize = 4;

/// Orders that a reason names one by one.
const MOST_NAMED: usize = 20;

/// One orchestrator at work on one run, holding its lease.
pub(crate) struct Pass<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) settings: &'a Settings,
    pub(crate) budget: Budget,
    pub(crate) item: RunItem,
    pub(crate) plan: Arc<Plan>,
    /// Only steps that were performed to their end, but for their events.
    pub(crate) ledger: Ledger,
    /// Events of the steps that were taken last. They are written before the ledger is stored.
    pub(crate) unwritten: Vec<Event>,
    /// The ledger as it was when no event was left to write: the one that may be stored.
    pub(crate) told: Ledger,
    pub(crate) nodes: Arc<[Node]>,
    pub(crate) me: String,
    tally: Tally,
    news: u64,
}

/// How a round ended.
enum Round {
    /// Everything that could be done is done.
    Settled,
    /// The invocation's time is nearly over.
    OutOfTime,
}

/// Wakes up for a run.
pub(crate) async fn wake(
    aws: &Aws,
    settings: &Settings,
    run: &RunId,
    callback: &Callback,
    budget: Budget,
) -> Result<(), PassError> {
    let me = fresh_nonce();
    let began = settings.clock.now();
    let items = RunItems::new(aws, &settings.locks_table);
    let item = match lease::take(items, run, &me, settings.clock).await? {
        Lease::Mine(item) => *item,
        Lease::Deposited | Lease::NotNeeded => return Ok(()),
    };
    let tell = |tally: Tally, failed: bool| {
        settings.telemetry.record(|| [trace::pass(run, &me, (began, settings.clock.now()), tally, failed)]);
    };
    let letters = item.orders.clone();
    let mut pass = match Pass::begin(aws, settings, budget, item, me.clone()).await {
        Ok(pass) => pass,
        Err(error) => {
            release(items, run, &me, &letters).await;
            tell(Tally::default(), true);
            return Err(error);
        }
    };
    let result = pass.work(callback).await;
    if result.is_err() {
        if let Err(error) = pass.write_events().await {
            tracing::warn!(%error, "the next pass writes the events");
        }
        // What was performed and told of is in that ledger; the rest is done again by whoever comes next.
        release(items, run, &me, &pass.told.letters()).await;
    }
    tell(Tally { news: pass.news, ..pass.tally }, result.is_err());
    result
}

/// Gives the lease back after a failure, so that the next wake-up need not wait for its end.
async fn release(items: RunItems<'_>, run: &RunId, me: &str, letters: &str) {
    if let Err(error) = items.give_up(run, me, letters).await {
        tracing::warn!(%error, "the lease stays until it runs out");
    }
}

impl<'a> Pass<'a> {
    async fn begin(
        aws: &'a Aws,
        settings: &'a Settings,
        budget: Budget,
        item: RunItem,
        me: String,
    ) -> Result<Self, PassError> {
        if item.schema_version > SCHEMA_VERSION {
            return Err(PassError::Stored(format!("version {} is newer than this function", item.schema_version)));
        }
        let (plan, nodes) = plan_of(aws, settings, &item).await?;
        let ledger: Ledger = item.orders.parse().map_err(|error| PassError::Stored(format!("{error}")))?;
        if ledger.len() != plan.orders.len() {
            return Err(PassError::Stored("ledger and plan have different lengths".to_owned()));
        }
        let news = item.news.unwrap_or(1);
        let (unwritten, told, tally) = (Vec::new(), ledger.clone(), Tally::default());
        Ok(Self { aws, settings, budget, item, plan, ledger, unwritten, told, nodes, me, tally, news })
    }

    async fn work(&mut self, callback: &Callback) -> Result<(), PassError> {
        let mut only = Some(callback).filter(|callback| self.news == 1 && is_narrow(callback));
        'rounds: loop {
            if let Round::OutOfTime = self.round(only).await? {
                return self.hand_over().await;
            }
            self.write_events().await?;
            let completed = self.ledger.all_ended();
            if completed {
                self.finalize().await?;
            }
            loop {
                let letters = self.told.letters();
                match self.items().commit(&self.item.run_id, &self.me, self.news, &letters, completed).await? {
                    Written::Yes(_) => break,
                    Written::No(Some(stands)) if stands.orchestrator_id.as_deref() == Some(&self.me) => {
                        // Others came meanwhile: look at everything, still holding the lease. Where all has ended, nothing
                        // that they say can change it.
                        self.news = stands.news.unwrap_or(0);
                        only = None;
                        if !completed || self.budget.is_spent() {
                            continue 'rounds;
                        }
                    }
                    Written::No(Some(stands)) if stands.status == RunStatus::Completed => break,
                    // Applied before with its answer lost, or taken over after the lease ran out: either way not ours now.
                    Written::No(_) => return Ok(()),
                }
            }
            if completed {
                self.delete_own_key().await;
            }
            return Ok(());
        }
    }

    /// One look and everything that follows from it.
    async fn round(&mut self, only: Option<&Callback>) -> Result<Round, PassError> {
        if self.is_at_its_beginning() {
            let started = self.job_started();
            self.tell([started]).await?;
        }
        let news = self.look(only).await?;
        self.record_results(news.composed).await?;
        self.record_reported(&news.reported).await?;
        // Before any stop: what waits for an order that failed has failed as well, whoever looks, and when.
        self.end_cascaded().await?;
        if !news.cancelled.is_empty() {
            self.apply_cancellations(&news.cancelled).await?;
        }
        // Each of the results that follow would ask all running orders again; the tick looks at everything until the end.
        if only.is_none() && self.is_over() {
            self.apply_deadline().await?;
        }
        // An order that cannot be started ends at once, and what waits for it is looked at again.
        loop {
            if self.budget.is_spent() {
                return Ok(Round::OutOfTime);
            }
            self.end_cascaded().await?;
            let ready = self.evaluate().ready;
            if self.is_over() || ready.is_empty() || !self.dispatch_all(&ready).await? {
                break;
            }
        }
        Ok(if self.budget.is_spent() { Round::OutOfTime } else { Round::Settled })
    }

    /// Whether the ledger is still the one that the run began with.
    fn is_at_its_beginning(&self) -> bool {
        let pairs = self.ledger.statuses().iter().zip(&self.plan.orders);
        pairs.into_iter().all(|(status, order)| *status == order.initial_status())
    }

    /// The event of the run's beginning. Orders that count as succeeded have no events of their own: it counts them.
    fn job_started(&self) -> Event {
        let started = self.recorder().of_job(Kind::JobStarted, Status::Running.as_str(), self.plan.created_at);
        let mut data = self.plan.carried.clone();
        if let Some(rerun_of) = &self.plan.rerun_of {
            let reused = self.plan.orders.iter().filter(|order| order.reused_from.is_some()).count();
            data.insert("rerun_of".to_owned(), rerun_of.as_str().into());
            data.insert("reused".to_owned(), reused.into());
        }
        started.data(data)
    }

    fn is_over(&self) -> bool {
        self.now() >= self.plan.deadline
    }

    /// Looks at what a message names, or at everything.
    async fn look(&self, only: Option<&Callback>) -> Result<News, PassError> {
        match only {
            Some(Callback::Result(order)) => Ok(self.news_of_order(*order)),
            Some(Callback::Instance(order, _)) => self.news_of_instances(*order).await,
            Some(Callback::Wake | Callback::Cancel(_)) | None => self.news_of_run().await,
        }
    }

    fn evaluate(&self) -> Evaluation {
        let limits = Limits { total: self.plan.max_parallel, per_target: self.settings.max_parallel };
        graph::evaluate(&self.nodes, &self.plan.topological_order, &self.ledger, limits)
    }

    /// Ends orders because of their dependencies, each through its claim: another pass may be about to stop one of them.
    async fn end_cascaded(&mut self) -> Result<(), PassError> {
        let cascaded = self.evaluate().cascaded;
        let ending = |&(index, outcome): &(usize, Outcome)| {
            let verb = if outcome == Outcome::Cancelled { "was cancelled" } else { "did not succeed" };
            let reason = format!("{} {verb}", named(self.culprits(index, &cascaded, outcome)));
            (OrderNum::of_index(index), Ending { outcome, reason, skipped: true })
        };
        let each = cascaded.iter().map(ending).collect();
        self.end_each(each).await
    }

    /// Names of the dependencies that made the order end so, in the ledger or in this very cascade.
    fn culprits(
        &self,
        index: usize,
        cascaded: &[(usize, Outcome)],
        outcome: Outcome,
    ) -> impl Iterator<Item = &common::ids::OrderName> {
        let ended = move |dependency: usize| {
            let now = cascaded.binary_search_by_key(&dependency, |(index, _)| *index).ok().map(|at| cascaded[at].1);
            now.or_else(|| self.ledger.statuses()[dependency].outcome())
        };
        let is_culprit = move |ended: Option<Outcome>| match outcome {
            Outcome::Cancelled => ended == Some(Outcome::Cancelled),
            _ => ended.is_some_and(|ended| ended != Outcome::Succeeded),
        };
        self.plan.orders[index]
            .dependencies
            .iter()
            .map(|dependency| usize::from(*dependency))
            .filter(move |dependency| is_culprit(ended(*dependency)))
            .map(|dependency| &self.plan.orders[dependency].name)
            .collect::<Vec<_>>()
            .into_iter()
    }

    pub(crate) async fn checkpoint(&mut self) -> Result<(), PassError> {
        self.write_events().await?;
        match self.items().checkpoint(&self.item.run_id, &self.me, &self.told.letters()).await? {
            Written::Yes(_) => Ok(()),
            Written::No(_) => Err(PassError::Stored("the lease is somebody else's now".to_owned())),
        }
    }

    /// Near the end of the invocation: gives the lease up and wakes the next one.
    async fn hand_over(&mut self) -> Result<(), PassError> {
        self.write_events().await?;
        let run = &self.item.run_id;
        self.items().give_up(run, &self.me, &self.told.letters()).await?;
        Ok(self.objects().put(&keys::result(run, OrderNum::RUN), WAKE).await?)
    }

    /// The tick deletes a key that is left.
    async fn delete_own_key(&self) {
        let own = keys::sops_key(&self.settings.ssm_prefix, &self.item.run_id);
        if self.plan.sops_key_ssm_path == own
            && let Err(error) = delete_key(self.aws, &own).await
        {
            tracing::warn!(%error, "the tick will delete the key");
        }
    }

    pub(crate) fn step(&mut self, order: OrderNum, to: Status) -> Result<(), PassError> {
        let index = order.index().ok_or_else(|| PassError::Stored(format!("{order} is no order")))?;
        self.ledger.step(index, to).map_err(|error| PassError::Stored(error.to_string()))?;
        match to {
            Status::Running => self.tally.dispatched += 1,
            Status::Ended(_) => self.tally.results += 1,
            Status::Queued => {}
        }
        Ok(())
    }

    pub(crate) fn planned(&self, order: OrderNum) -> Result<&PlannedOrder, PassError> {
        self.plan.order(order).ok_or_else(|| PassError::Stored(format!("the plan has no order {order}")))
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = OrderNum> + use<> {
        (0..self.ledger.len()).map(OrderNum::of_index)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(self.aws, &self.settings.orders_table)
    }

    pub(crate) fn objects(&self) -> Objects<'_> {
        Objects::new(self.aws, &self.settings.internal_bucket)
    }

    pub(crate) fn claims(&self) -> Claims<'_> {
        Claims::new(self.aws, &self.settings.internal_bucket, &self.item.run_id)
    }

    fn items(&self) -> RunItems<'_> {
        RunItems::new(self.aws, &self.settings.locks_table)
    }

    pub(crate) fn recorder(&self) -> Recorder<'_> {
        Recorder {
            run_id: &self.item.run_id,
            trace_id: &self.plan.trace_id,
            flow_id: &self.plan.flow_id,
            kept_secs: self.settings.event_ttl_seconds,
        }
    }
}

/// Some names, and how many there are besides: an order may wait for thousands, and a row holds 400 KB.
fn named(names: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_at_checked(MOST_NAMED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

/// A plan, and its graph.
type Known = (Arc<Plan>, Arc<[Node]>);

/// The plan of a run, from memory when this process saw it lately.
async fn plan_of(aws: &Aws, settings: &Settings, item: &RunItem) -> Result<Known, PassError> {
    static SEEN: Mutex<VecDeque<Known>> = Mutex::new(VecDeque::new());
    // A plan never changes, so one that a panic left there is as good as any.
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = seen().iter().find(|(plan, _)| plan.submit_id == item.submit_id) {
        return Ok(known.clone());
    }
    let object = Objects::new(aws, &settings.internal_bucket).get(&item.plan_key, plan::MAX_BYTES).await?;
    let object = object.ok_or_else(|| PassError::Stored(format!("there is no `{}`", item.plan_key)))?;
    let plan: Plan = serde_json::from_slice(&object.body)
        .map_err(|error| PassError::Stored(format!("`{}`: {error}", item.plan_key)))?;
    let nodes = plan.nodes().into();
    let known = (Arc::new(plan), nodes);
    let mut seen = seen();
    seen.push_back(known.clone());
    if seen.len() > PLANS {
        seen.pop_front();
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_some_and_counts_the_rest() {
        assert_eq!(named(["a"].iter()), "`a`");
        assert_eq!(named(0..3), "`0`, `1`, `2`");
        assert!(named(0..20).ends_with("`18`, `19`"));
        assert!(named(0..9_998).ends_with("`18`, `19` and 9978 more"));
    }
}

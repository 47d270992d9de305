//! A bench: one warm embedded AWS on which runs are made one after the other, each with faults of its own, and held
//! against what is promised when nothing is left to do.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use checker::{Evidence, Names, Start};
use serde_json::{Value, json};

use super::{
    jobs::{Cancellation, Reference},
    schedule::Schedule,
};
use crate::support::{Stack, job::Job, run::Run, stack::ORDERS, wait};

/// Engine time passes so many times as fast while somebody works; while nobody does it is skipped.
const SPEED: u32 = 20;
/// The run's key is gone so long after `done`.
const KEY_SECS: f64 = 120.0;

/// The bench.
pub(super) struct Bench {
    pub(super) stack: Stack,
    starts: PathBuf,
    /// Bytes of the record that belong to earlier runs.
    seen: Cell<u64>,
    /// Earlier runs that were made here.
    made: RefCell<BTreeSet<String>>,
}

/// How one run came out.
pub(super) struct Report {
    /// What is wrong.
    pub(super) violations: Vec<String>,
    /// The calls that were made, the client's too.
    pub(super) calls: Vec<Value>,
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::at_speed(SPEED).await
    }

    /// One on which time passes so many times as fast while somebody works.
    pub(super) async fn at_speed(factor: u32) -> Self {
        let stack = Stack::start().speed(factor).skip_idle().concurrency(8).record().await;
        let starts = stack.new_folder("starts");
        Self { stack, starts, seen: Cell::new(0), made: RefCell::default() }
    }

    /// The first and the last command of an order. Each run has a start log of its own.
    pub(super) fn commands(&self) -> [String; 2] {
        let file = self.starts.join("all");
        // The shell names the file: the run is not known yet.
        checker::untimed_commands(file.to_str().unwrap()).map(|command| command.replace("/all'", "/'\"$RUN_ID\""))
    }

    /// What the run's commands wrote so far.
    pub(super) fn starts(&self, run_id: &str) -> Vec<Start> {
        let text = std::fs::read_to_string(self.starts.join(run_id)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Makes a run of a reference job in which this goes wrong, or nothing.
    pub(super) async fn run(&self, reference: &Reference, run_id: &str, schedule: Option<&Schedule>) -> Report {
        let job = reference.job(self);
        let mut body = json!({"job": job.document(), "run_id": run_id});
        if let Some(before) = reference.before(self) {
            body["rerun_of"] = self.earlier(reference.name, &before).await.into();
        }
        let script = schedule.map_or_else(|| json!([]), Schedule::script);
        let (evidence, mut violations, calls) = self.finish(&job, &body, &script, reference.cancel).await;
        let away = schedule.map(Schedule::lasts).unwrap_or_default();
        let late = checker::punctual(&job.document(), &evidence, away);
        violations.extend(late.iter().map(ToString::to_string));
        violations.extend(key_is_gone_in_time(&calls, away));
        if schedule.is_none() {
            violations.extend(rows_come_first(&calls));
            violations.extend(watchdogs_come_first(&calls));
        }
        violations.extend(outcome(reference, &job.document(), &evidence, schedule.is_some_and(Schedule::may_differ)));
        Report { violations, calls }
    }

    /// Makes a run of any job with these faults.
    pub(super) async fn any(&self, job: &Job, run_id: &str, script: &Value, cancel: Option<Cancellation>) -> Report {
        let body = json!({"job": job.document(), "run_id": run_id});
        let (_, violations, calls) = self.finish(job, &body, script, cancel).await;
        Report { violations, calls }
    }

    /// The id of the run of which what succeeded counts; made once on each bench, without faults.
    async fn earlier(&self, name: &str, job: &Job) -> String {
        let run_id = format!("before-{name}");
        if self.made.borrow_mut().insert(run_id.clone()) {
            let report = self.any(job, &run_id, &json!([]), None).await;
            assert!(report.violations.is_empty(), "{:#?}", report.violations);
        }
        run_id
    }

    async fn finish(
        &self,
        job: &Job,
        body: &Value,
        script: &Value,
        cancel: Option<Cancellation>,
    ) -> (Evidence, Vec<String>, Vec<Value>) {
        self.stack.script(script).await;
        let run = self.submit(body, job).await;
        let run_id = run.id.as_str();
        if let Some(cancel) = cancel {
            cancel.ask(&run, self).await;
        }
        // What stands when the run is completed must still stand when the last late event has come.
        let settled = self.stack.settle();
        let completed = wait::within_limit(async || (run.item().await?["status"] == "completed").then_some(()));
        let mut violations = Vec::new();
        let early = tokio::select! {
            _ = completed => Some(self.evidence(run_id).await),
            () = settled => None,
        };
        self.stack.settle().await;
        self.stack.script(&json!([])).await;
        let evidence = self.evidence(run_id).await;
        let document = job.document();
        let found = checker::check(&document, &evidence);
        if evidence.item.as_ref().is_none_or(|item| item["status"] != "completed") {
            violations.push(format!("row 6: nothing is left to do, and the run is not completed: {:?}", evidence.item));
        }
        let changed = early.map(|early| checker::unchanged(&early, &evidence)).unwrap_or_default();
        violations.extend(found.into_iter().chain(changed).map(|one| one.to_string()));
        let calls = self.calls();
        if self.stack.parameter(&checker::key_parameter("exe-sys", run_id)).await.is_some() {
            violations.push("row 20: the run's key is still there".to_owned());
        }
        (evidence, violations, calls)
    }

    async fn evidence(&self, run_id: &str) -> Evidence {
        let aws = &self.stack.aws;
        let starts = self.starts(run_id);
        Evidence::gather(aws.s3(), aws.dynamodb(), &Names::embedded(), run_id, &starts).await.unwrap()
    }

    /// As a client does: the same again under the same run id until it is accepted.
    async fn submit(&self, body: &Value, job: &Job) -> Run<'_> {
        let answer = wait::until("the submission to be accepted", async || {
            let answer = self.stack.post("/init", body).await;
            assert!(matches!(answer.status, 200 | 409 | 500 | 503), "{} {}", answer.status, answer.text());
            if answer.status != 200 {
                // A submission that died holds its place for six minutes.
                self.stack.pass(30_000).await;
            }
            (answer.status == 200).then(|| answer.json())
        });
        self.stack.run(answer.await, job)
    }

    /// The calls since the last run's.
    fn calls(&self) -> Vec<Value> {
        let (calls, end) = self.stack.recorded_from(self.seen.get());
        self.seen.set(end);
        calls
    }
}

/// How the orders ended, against how they end when nothing goes wrong, or one of them fails.
fn outcome(reference: &Reference, job: &Value, evidence: &Evidence, may_differ: bool) -> Option<String> {
    let row = |row: &Value| Some((row["order_name"].as_str()?.to_owned(), row["status"].as_str()?.to_owned()));
    let ended: BTreeMap<String, String> = evidence.rows.values().filter_map(row).collect();
    let is = |own: &BTreeMap<String, &str>| {
        let expected = checker::expected(job, own);
        expected.len() == ended.len()
            && expected.iter().all(|(name, status)| ended.get(name).is_some_and(|s| s == status))
    };
    let own = reference.own();
    let one_differs = || {
        ended.iter().filter(|(_, status)| ["failed", "timed_out"].contains(&status.as_str())).any(|(name, status)| {
            let mut own = own.clone();
            own.insert(name.clone(), status);
            is(&own)
        })
    };
    let is_expected = is(&own) || (may_differ && one_differs());
    (!is_expected).then(|| format!("row 6: the orders ended otherwise than they should: {ended:?}"))
}

/// Row 5. Where nothing goes wrong: a pass that is repeated writes its rows once more.
fn rows_come_first(calls: &[Value]) -> Option<String> {
    let is_done = |call: &Value| {
        call["operation"] == "PutObject" && call["key"].as_str().is_some_and(|key| key.ends_with("/done"))
    };
    let is_row = |call: &&Value| {
        call["operation"] == "UpdateItem" && call["key"].as_str().is_some_and(|key| key.starts_with(ORDERS))
    };
    let late = calls.iter().skip_while(|call| !is_done(call)).find(is_row)?;
    Some(format!("row 5: a row was written after `done`: {late}"))
}

/// Row 14. Where nothing goes wrong: at any time at least as many watchdogs were started as orders were handed over.
fn watchdogs_come_first(calls: &[Value]) -> Option<String> {
    let mut ahead = 0_i32;
    for call in calls.iter().filter(|call| call["function"] == "orchestrator" && call["outcome"]["status"] != 400) {
        match call["operation"].as_str() {
            Some("StartExecution") => ahead += 1,
            Some("Invoke" | "StartBuild" | "SendCommand") => ahead -= 1,
            _ => {}
        }
        if ahead < 0 {
            return Some(format!("row 14: an order was handed over before its watchdog: {call}"));
        }
    }
    None
}

/// Row 20. Both are engine time. For as long as a fault kept a service or a process away, the key may be there longer.
fn key_is_gone_in_time(calls: &[Value], away: Duration) -> Option<String> {
    let at = |call: &Value| call["at"].as_str().and_then(|at| at.parse::<f64>().ok());
    let done = calls.iter().find(|call| {
        call["operation"] == "PutObject" && call["key"].as_str().is_some_and(|key| key.ends_with("/done"))
    });
    let Some(done_at) = done.and_then(at) else { return Some("row 5: `done` was never written".to_owned()) };
    let deleted = calls.iter().filter(|call| call["operation"] == "DeleteParameter").find_map(at);
    let is_late = deleted.is_none_or(|deleted| deleted > done_at + KEY_SECS + away.as_secs_f64());
    is_late.then(|| format!("row 20: the key was deleted at {deleted:?}, `done` was written at {done_at}"))
}

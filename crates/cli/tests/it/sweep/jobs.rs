//! The reference jobs: small, and each with something that the others have not.

use std::collections::BTreeMap;

use checker::Started;
use serde_json::{Value, json};

use super::bench::Bench;
use crate::support::{job, job::Job, run::Run};

/// A job, and how it ends when nothing goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) name: &'static str,
    make: fn(&Bench) -> Job,
    /// Orders that end by themselves otherwise than well.
    own: &'static [(&'static str, &'static str)],
    /// What its client asks for after the submission.
    pub(super) cancel: Option<Cancellation>,
    /// The job of an earlier run, of which what succeeded counts.
    before: Option<fn(&Bench) -> Job>,
}

/// All of them.
pub(super) const ALL: [Reference; 9] = [
    Reference { name: "one order", make: one, own: &[], cancel: None, before: None },
    Reference { name: "chain of 3", make: chain, own: &[], cancel: None, before: None },
    Reference { name: "diamond", make: diamond, own: &[], cancel: None, before: None },
    Reference { name: "fan of 5", make: fan, own: &[], cancel: None, before: None },
    Reference { name: "failing", make: failing, own: &[("a", "failed")], cancel: None, before: None },
    Reference { name: "timed out", make: timed_out, own: &[("a", "timed_out")], cancel: None, before: None },
    Reference {
        name: "cancelled",
        make: cancelled,
        own: &[("a", "cancelled")],
        cancel: Some(Cancellation { after: "a", what: "0000" }),
        before: None,
    },
    Reference { name: "mixed", make: mixed, own: &[], cancel: None, before: None },
    Reference { name: "rerun", make: diamond, own: &[], cancel: None, before: Some(broken_diamond) },
];

impl Reference {
    pub(super) fn job(&self, bench: &Bench) -> Job {
        (self.make)(bench)
    }

    /// The job of the earlier run, if it is a rerun.
    pub(super) fn before(&self, bench: &Bench) -> Option<Job> {
        self.before.map(|make| make(bench))
    }

    /// How its orders end by themselves.
    pub(super) fn own(&self) -> BTreeMap<String, &'static str> {
        self.own.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect()
    }
}

/// A request to cancel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancellation {
    /// As soon as the commands of this order began, or the run is over without that.
    pub(super) after: &'static str,
    /// Number of the order that is to be cancelled; `0000` for the whole run.
    pub(super) what: &'static str,
}

impl Cancellation {
    /// Waits until it is time, and asks.
    pub(super) async fn ask(self, run: &Run<'_>, bench: &Bench) {
        run.until("the order to begin or the run to end", async || {
            let began = |start: &checker::Start| start.order == self.after && start.what == Started::Begin;
            let ended = run.item().await.is_some_and(|item: Value| item["status"] == "completed");
            (ended || bench.starts(&run.id).iter().any(began)).then_some(())
        })
        .await;
        let key = format!("tmp/callbacks/runs/{}/_cancel/{}/result.json", run.id, self.what);
        run.stack.put_object(crate::support::stack::INTERNAL, &key, json!({}).to_string()).await;
    }
}

/// An order with time enough for whatever comes: waiting costs nothing here.
fn order(job: Job, name: &str, bench: &Bench, body: &[&str]) -> Job {
    let [begin, end] = bench.commands();
    let cmds = std::iter::once(begin).chain(body.iter().map(|cmd| (*cmd).to_owned())).chain([end]);
    job.order(name).cmds(cmds).timeout(600).its("start_timeout", 600).stop_grace(1)
}

fn one(bench: &Bench) -> Job {
    order(job(), "a", bench, &[])
}

fn chain(bench: &Bench) -> Job {
    let two = order(one(bench), "b", bench, &[]).after(["a"]);
    order(two, "c", bench, &[]).after(["b"])
}

fn diamond(bench: &Bench) -> Job {
    let sides = ["b", "c"].into_iter().fold(one(bench), |job, side| order(job, side, bench, &[]).after(["a"]));
    order(sides, "d", bench, &[]).after(["b", "c"])
}

/// One side fails, so that it and the end run again.
fn broken_diamond(bench: &Bench) -> Job {
    let b = order(one(bench), "b", bench, &[]).after(["a"]);
    let c = order(b, "c", bench, &["exit 3"]).after(["a"]);
    order(c, "d", bench, &[]).after(["b", "c"])
}

fn fan(bench: &Bench) -> Job {
    let names = ["a", "b", "c", "d", "e"];
    let all = names.into_iter().fold(job(), |job, name| order(job, name, bench, &[]));
    order(all, "end", bench, &[]).after(names)
}

fn failing(bench: &Bench) -> Job {
    let a = order(job(), "a", bench, &["exit 3"]);
    let b = order(a, "b", bench, &[]).after(["a"]);
    let c = order(b, "c", bench, &[]).after(["b"]).tolerated();
    order(c, "d", bench, &[])
}

fn timed_out(bench: &Bench) -> Job {
    let a = order(job(), "a", bench, &["sleep 600"]).timeout(4);
    let b = order(a, "b", bench, &[]).after(["a"]);
    order(b, "c", bench, &[])
}

fn cancelled(bench: &Bench) -> Job {
    let a = order(job(), "a", bench, &["sleep 600"]);
    order(a, "b", bench, &[]).after(["a"])
}

fn mixed(bench: &Bench) -> Job {
    let built = order(one(bench), "b", bench, &[]).on("codebuild").after(["a"]);
    order(built, "c", bench, &[]).on("ssm").after(["b"])
}

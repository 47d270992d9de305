//! Running again what did not succeed: which orders of an earlier run count, and that nothing else of them happens.

use serde_json::{Value, json};

use crate::{
    sources::{git, zipped},
    support::{
        Cancelled, Failed, Stack, StartLog, Succeeded, TimedOut, expect,
        expect::{Ended, expect_success, nobody_ticked},
        job,
        job::Job,
        run::Run,
        stack::INTERNAL,
    },
};

/// The envelope of a rerun.
pub(crate) fn rerun_body(job: &Job, run_id: &str, of: &str) -> Value {
    json!({"job": job.document(), "run_id": run_id, "rerun_of": of})
}

impl Stack {
    /// Submits a job of which what succeeded in the run `of` counts.
    pub(crate) async fn rerun(&self, job: &Job, run_id: &str, of: &str) -> Run<'_> {
        self.accepted(job, &rerun_body(job, run_id, of)).await
    }

    /// The same, but for this order and what depends on it.
    async fn rerun_from(&self, job: &Job, run_id: &str, of: &str, from: &str) -> Run<'_> {
        let mut body = rerun_body(job, run_id, of);
        body["rerun_from"] = from.into();
        self.accepted(job, &body).await
    }

    pub(crate) async fn accepted(&self, job: &Job, body: &Value) -> Run<'_> {
        let answer = self.post("/init", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.run(answer.json(), job)
    }
}

/// What orders write down: in which run they ran.
struct Ran(StartLog);

impl Ran {
    fn of(stack: &Stack) -> Self {
        Self(StartLog::of(stack))
    }

    /// A command that does so.
    fn note(&self) -> String {
        self.0.note("$RUN_ID $ORDER_ID")
    }

    /// The orders that ran in this run, by name; each is there as often as it ran.
    fn in_run(&self, run: &str) -> Vec<String> {
        let of_run = |line: String| line.strip_prefix(&format!("{run} ")).map(str::to_owned);
        let mut names: Vec<String> = self.0.lines().into_iter().filter_map(of_run).collect();
        names.sort();
        names
    }
}

/// The orders that count, each with the run in which it ran.
fn counted(ended: &Ended) -> Vec<String> {
    let of = |row: &Value| Some(format!("{} of {}", row["order_name"].as_str()?, row.get("reused_from")?.as_str()?));
    ended.rows.iter().filter_map(of).collect()
}

/// Commands that fail as long as a file is not there.
fn unless_mended(stack: &Stack) -> String {
    format!("[ -e '{}' ]", stack.path("mended").display())
}

fn mend(stack: &Stack) {
    std::fs::write(stack.path("mended"), "").unwrap();
}

/// `a`, behind it `b` and `c`, behind both `d`. Each writes down that it ran; `b` fails until that is mended.
fn diamond(stack: &Stack, ran: &Ran) -> Job {
    let order = |job: Job, name: &str| job.order(name).cmds([ran.note()]);
    let b = order(order(job(), "a"), "b").after(["a"]).cmds([ran.note(), unless_mended(stack)]);
    order(order(b, "c").after(["a"]), "d").after(["b", "c"])
}

#[tokio::test]
async fn what_failed_and_what_depends_on_it_runs_again_and_nothing_else() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let job = diamond(&stack, &ran);
    let first = stack.submit_as("first", &job).await;
    expect(&first, Failed, [("a", Succeeded), ("b", Failed), ("c", Succeeded), ("d", Failed)]).await;
    assert_eq!(ran.in_run("first"), ["a", "b", "c"]);
    mend(&stack);
    let second = stack.rerun(&job, "second", "first").await;
    let ended = expect_success(&second).await;
    assert_eq!(ran.in_run("second"), ["b", "d"]);
    assert_eq!(counted(&ended), ["a of first", "c of first"]);
    assert_eq!(ended.rows[0]["ended_at"], ended.rows[0]["created_at"]);
    assert_eq!(ended.events[0]["data"], json!({"rerun_of": "first", "reused": 2}));
    // Nothing of what counts is sealed or watched.
    let keys = stack.keys(INTERNAL).await;
    let bundles: Vec<_> = keys.iter().filter(|key| key.starts_with("tmp/exec/second/0")).collect();
    assert_eq!(bundles, ["tmp/exec/second/0002/exec.zip", "tmp/exec/second/0004/exec.zip"]);
    let mut watched: Vec<_> = stack.executions().await.into_iter().map(|(name, _)| name).collect();
    watched.retain(|name| name.starts_with("second-"));
    watched.sort();
    let numbers: Vec<_> = watched.iter().map(|name| &name["second-".len()..][..4]).collect();
    assert_eq!(numbers, ["0000", "0002", "0004"]);
}

#[tokio::test]
async fn a_rerun_of_a_rerun_knows_where_each_order_ran() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let broken = |job: Job| job.order("e").after(["d"]).cmds([ran.note(), "exit 1".to_owned()]);
    let whole = |job: Job| job.order("e").after(["d"]).cmds([ran.note()]);
    let job = diamond(&stack, &ran);
    let first = stack.submit_as("first", &broken(job.clone())).await;
    expect(&first, Failed, [("a", Succeeded), ("b", Failed), ("c", Succeeded), ("d", Failed), ("e", Failed)]).await;
    mend(&stack);
    let second = stack.rerun(&broken(job.clone()), "second", "first").await;
    let ends = [("a", Succeeded), ("b", Succeeded), ("c", Succeeded), ("d", Succeeded), ("e", Failed)];
    expect(&second, Failed, ends).await;
    let third = stack.rerun(&whole(job), "third", "second").await;
    let ended = expect_success(&third).await;
    assert_eq!(counted(&ended), ["a of first", "b of second", "c of first", "d of second"]);
    assert_eq!(ran.in_run("third"), ["e"]);
}

#[tokio::test]
async fn an_order_runs_again_when_what_it_does_changed_and_only_then() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let order = |job: Job, name: &str| job.order(name).cmds([ran.note()]);
    let first = |job: Job| {
        let job = order(job, "commands");
        let job = order(job, "variables").its("env_vars", json!({"SIZE": "1"}));
        let job = order(job, "secrets");
        let job = order(job, "limits").its("start_timeout", 500).stop_grace(3).its("queue_id", "fourth");
        let job = order(job, "tolerance");
        order(order(job, "behind").after(["commands"]), "apart").after(["limits", "tolerance"])
    };
    let then = |job: Job| {
        // In another order, which changes the numbers.
        let job = order(job, "tolerance").tolerated();
        let job = order(job, "limits").timeout(300).its("start_timeout", 400).stop_grace(2);
        let job = order(job, "apart").after(["tolerance", "limits"]);
        let job = order(job, "commands").cmds([ran.note(), "true".to_owned()]);
        let job = order(job, "behind").after(["commands"]);
        let job = order(job, "variables").its("env_vars", json!({"SIZE": "2"}));
        let job = order(job, "secrets").its("ssm_paths", json!([]));
        order(job, "new").with("job_timeout", 1_800).with("max_parallel", 3).with("flow_label", "again")
    };
    expect_success(&stack.submit_as("first", &first(job())).await).await;
    let second = stack.rerun(&then(job()), "second", "first").await;
    let ended = expect_success(&second).await;
    assert_eq!(ran.in_run("second"), ["behind", "commands", "new", "secrets", "variables"]);
    assert_eq!(counted(&ended), ["tolerance of first", "limits of first", "apart of first"]);
}

#[tokio::test]
async fn code_counts_by_its_content_whatever_it_is_called() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let repo = stack.new_folder("repo");
    git(&repo, &["init", "-q"]);
    let commit = |text: &str| {
        std::fs::write(repo.join("version"), text).unwrap();
        git(&repo, &["add", "-A"]);
        git(&repo, &["commit", "-qm", text]);
        git(&repo, &["rev-parse", "HEAD"])
    };
    let old = commit("old");
    git(&repo, &["branch", "steady"]);
    let zip = |text: &str| zipped(&[("sub/a.txt", text)]);
    stack.put_object(INTERNAL, "sources/steady.zip", zip("old")).await;
    stack.put_object(INTERNAL, "sources/moves.zip", zip("first")).await;
    let job = |steady: &str| {
        let job = job().with("git_repo", repo.to_str().unwrap());
        let job = job.order("steady").its("commit_hash", steady).cmds([ran.note()]);
        let job = job.order("moves").its("commit_hash", "trunk").cmds([ran.note()]);
        let zips = ["steady", "moves"].into_iter().fold(job, |job, name| {
            let job = job.order(&format!("zip-{name}")).cmds([ran.note()]);
            job.its("s3_location", format!("s3://{INTERNAL}/sources/{name}.zip")).its("git_folder", "sub")
        });
        zips.order("none").its("git_folder", Value::Null).cmds([ran.note()])
    };
    expect_success(&stack.submit_as("first", &job("steady")).await).await;
    commit("new");
    stack.put_object(INTERNAL, "sources/steady.zip", zip("old")).await;
    stack.put_object(INTERNAL, "sources/moves.zip", zip("second")).await;
    let second = stack.rerun(&job(&old), "second", "first").await;
    let ended = expect_success(&second).await;
    // `none` has the repository's HEAD, which moved as well.
    assert_eq!(ran.in_run("second"), ["moves", "none", "zip-moves"]);
    assert_eq!(counted(&ended), ["steady of first", "zip-steady of first"]);
    let code = stack.keys(INTERNAL).await.into_iter().filter(|key| key.starts_with("tmp/exec/second/code/")).count();
    assert_eq!(code, 2, "of what counts no code is uploaded");
}

#[tokio::test]
async fn an_order_and_what_depends_on_it_can_be_made_to_run_again() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    mend(&stack);
    let job = diamond(&stack, &ran).its("queue_id", "last");
    expect_success(&stack.submit_as("first", &job).await).await;
    for (run, from, wanted) in [
        ("by-name", "b", vec!["b", "d"]),
        ("by-number", "3", vec!["c", "d"]),
        ("by-padded-number", "0003", vec!["c", "d"]),
        ("by-queue-id", "last", vec!["d"]),
        ("from-the-first", "a", vec!["a", "b", "c", "d"]),
    ] {
        expect_success(&stack.rerun_from(&job, run, "first", from).await).await;
        assert_eq!(ran.in_run(run), wanted, "{run}");
    }
}

#[tokio::test]
async fn when_everything_counts_the_run_is_over_at_once_at_a_flat_cost() {
    const ORDERS: usize = 60;
    let stack = Stack::start().record().await;
    let ran = Ran::of(&stack);
    let many = |count: usize| {
        (1..=count).fold(job().order("o0").cmds([ran.note()]), |job, number| {
            job.order(&format!("o{number}")).after(["o0"]).cmds([ran.note()])
        })
    };
    for (first, count) in [("few", 1), ("many", ORDERS)] {
        expect_success(&stack.submit_as(first, &many(count)).await).await;
    }
    let mut costs = Vec::new();
    for (first, count) in [("few", 1), ("many", ORDERS)] {
        let before = stack.calls().await;
        let run = format!("{first}-again");
        let second = stack.rerun(&many(count), &run, first).await;
        let ended = expect_success(&second).await;
        assert_eq!(ran.in_run(&run), [""; 0]);
        assert_eq!(counted(&ended).len(), count + 1);
        assert_eq!(ended.events[0]["data"]["reused"], count + 1);
        assert_eq!(ended.events.len(), 2, "the job's own: {:?}", ended.events);
        let mut made = stack.calls().await;
        made.retain(|(function, ..)| ["init_job", "orchestrator"].contains(&function.as_str()));
        for (function, operation, calls) in &mut made {
            let earlier = before.iter().find(|(f, o, _)| (f, o) == (&*function, &*operation));
            *calls -= earlier.map_or(0, |(.., count)| *count);
            if (function.as_str(), operation.as_str()) == ("init_job", "BatchWriteItem") {
                // The rows, of which a call takes 25.
                assert_eq!(*calls, (count as u64 + 1).div_ceil(25));
                *calls = 0;
            }
        }
        made.retain(|(.., calls)| *calls > 0);
        costs.push(made);
    }
    assert_eq!(costs[0], costs[1], "rows are all that grows");
    nobody_ticked(&stack);
}

#[tokio::test]
async fn a_failure_that_was_tolerated_runs_again() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let job = job()
        .order("lint")
        .tolerated()
        .cmds([ran.note(), unless_mended(&stack)])
        .order("report")
        .after(["lint"])
        .tolerated()
        .cmds([ran.note()])
        .order("build")
        .cmds([ran.note()]);
    let first = stack.submit_as("first", &job).await;
    expect(&first, Succeeded, [("lint", Failed), ("report", Succeeded), ("build", Succeeded)]).await;
    mend(&stack);
    let ended = expect_success(&stack.rerun(&job, "second", "first").await).await;
    assert_eq!(ran.in_run("second"), ["lint", "report"]);
    assert_eq!(counted(&ended), ["build of first"]);
}

#[tokio::test]
async fn what_was_cancelled_runs_again_and_a_rerun_can_be_cancelled_itself() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let held = format!("until {}; do sleep 0.02; done", unless_mended(&stack));
    let job = job()
        .order("a")
        .cmds([ran.note()])
        .order("b")
        .after(["a"])
        .stop_grace(1)
        .cmds([ran.note(), held])
        .order("c")
        .after(["b"])
        .cmds([ran.note()]);
    let ends = [("a", Succeeded), ("b", Cancelled), ("c", Cancelled)];
    let first = stack.submit_as("first", &job).await;
    first.until_row("b", "running").await;
    first.cancel("0000").await;
    expect(&first, Cancelled, ends).await;
    let second = stack.rerun(&job, "second", "first").await;
    second.until_row("b", "running").await;
    second.cancel("0000").await;
    let ended = expect(&second, Cancelled, ends).await;
    assert_eq!(counted(&ended), ["a of first"]);
    mend(&stack);
    let third = stack.rerun(&job, "third", "second").await;
    assert_eq!(counted(&expect_success(&third).await), ["a of first"]);
    assert_eq!(ran.in_run("third"), ["b", "c"]);
}

#[tokio::test]
async fn the_deadline_of_a_rerun_ends_what_runs_and_nothing_that_counts() {
    let stack = Stack::start().speed(20).skip_idle().await;
    let ran = Ran::of(&stack);
    let held = format!("until {}; do sleep 0.02; done", unless_mended(&stack));
    let a = job().with("job_timeout", 60).order("a").cmds([ran.note()]);
    let broken = a.clone().order("b").after(["a"]).cmds([ran.note(), "exit 1".to_owned()]);
    let slow = a.order("b").after(["a"]).stop_grace(1).cmds([ran.note(), held]);
    expect(&stack.submit_as("first", &broken).await, Failed, [("a", Succeeded), ("b", Failed)]).await;
    let second = stack.rerun(&slow, "second", "first").await;
    let ended = expect(&second, TimedOut, [("a", Succeeded), ("b", TimedOut)]).await;
    assert_eq!(counted(&ended), ["a of first"]);
}

#[tokio::test]
async fn orders_on_every_target_count() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let targets = ["lambda", "codebuild", "ssm"];
    let job = targets.into_iter().fold(job(), |job, target| job.order(target).on(target).cmds([ran.note()]));
    let last = |job: Job, cmds: [String; 2]| job.order("last").after(targets).cmds(cmds);
    let broken = last(job.clone(), [ran.note(), "exit 1".to_owned()]);
    let ends = [("lambda", Succeeded), ("codebuild", Succeeded), ("ssm", Succeeded), ("last", Failed)];
    expect(&stack.submit_as("first", &broken).await, Failed, ends).await;
    let second = stack.rerun(&last(job, [ran.note(), "true".to_owned()]), "second", "first").await;
    let ended = expect_success(&second).await;
    assert_eq!(counted(&ended), ["lambda of first", "codebuild of first", "ssm of first"]);
    assert_eq!(ran.in_run("second"), ["last"]);
}

#[tokio::test]
async fn a_job_of_instances_is_rerun_at_its_own_entry_point() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let job = job().order("a").anywhere().on_instances(["i-local"]).cmds([ran.note()]);
    let first = stack.post("/ssm", &json!({"job": job.document(), "run_id": "first"})).await;
    expect_success(&stack.run(first.json(), &job)).await;
    let second = stack.post("/ssm", &rerun_body(&job, "second", "first")).await;
    let ended = expect_success(&stack.run(second.json(), &job)).await;
    assert_eq!(counted(&ended), ["a of first"]);
}

#[tokio::test]
async fn what_is_reported_of_an_order_that_counts_changes_nothing() {
    let stack = Stack::start().await;
    let ran = Ran::of(&stack);
    let held = format!("until {}; do sleep 0.02; done", unless_mended(&stack));
    let a = job().order("a").cmds([ran.note()]);
    let broken = a.clone().order("b").after(["a"]).cmds(["exit 1"]);
    expect(&stack.submit_as("first", &broken).await, Failed, [("a", Succeeded), ("b", Failed)]).await;
    let second = stack.rerun(&a.order("b").after(["a"]).cmds([held]), "second", "first").await;
    second.until_row("b", "running").await;
    let before = second.row("a").await;
    // Somebody writes a result, and asks to cancel it.
    stack.put_object(INTERNAL, "tmp/callbacks/runs/second/0001/result.json", r#"{"status":"failed"}"#).await;
    second.cancel("0001").await;
    second.wake().await;
    mend(&stack);
    let done = second.done().await;
    assert_eq!(done, json!({"status": "succeeded", "summary": {"succeeded": 2, "failed": 0, "timed_out": 0}}));
    assert_eq!(second.row("a").await, before);
    assert_eq!(second.claim("0001").await, None);
}

#[tokio::test]
async fn the_verbs_that_look_know_orders_that_count() {
    let stack = Stack::start().await;
    let job = job().order("a").cmds(["echo from a"]);
    expect_success(&stack.submit_as("first", &job).await).await;
    expect_success(&stack.rerun(&job, "second", "first").await).await;
    for follow in ["--", "-f"] {
        let said = stack.call(&["logs", "second", follow, "a"]).await;
        assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{}", said.shown());
    }
    let said = stack.call(&["cancel", "second", "a"]).await;
    assert_eq!(said.stdout, "the order `a` (0001) has ended already: succeeded\n");
}

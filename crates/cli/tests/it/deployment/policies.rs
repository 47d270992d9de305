//! The roles' policies against the calls that functions, builds and instances make, in runs in which everything happens
//! that has a call of its own (invariant 24): no call is missing in them, and nothing is in them that nobody calls.

use std::collections::BTreeSet;

use common::{
    ids::OrderNum,
    keys::{self, Callback, Share},
    sops::Identity,
};
use infra::policies::{Roles, Statement, allows, document, roles};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    ACCOUNT, REGION,
    calls::{Call, calls},
    folder, module,
};
use crate::{
    rerun::rerun_body,
    sources::zipped,
    support::{
        Cancelled, Collector, Failed, Stack, StartLog, Succeeded, TimedOut, expect,
        expect::expect_success,
        faults::{Fault, at, delivery_to},
        job,
        job::Job,
        run::Run,
        stack::INTERNAL,
        wait,
    },
};

/// How the two entry points are called, with the role behind each and a target that both take.
const ENTRIES: [(&str, &str); 2] = [("/init", "init_job"), ("/ssm", "ssm_config")];

/// Instances that are stopped are of no use afterwards.
const FLEET: &str = "
- {id: i-local, tags: {Role: web}}
- {id: i-second, tags: {Role: web}}
";

#[tokio::test]
async fn roles_may_do_what_they_do_and_nothing_else() {
    let stack = everything_that_has_a_call_of_its_own().await;
    let recorded = calls(&stack.recorded());
    let roles = roles(&module());
    let missing: Vec<&Call> = recorded.iter().filter(|call| !is_allowed(&roles, call)).collect();
    let needless: Vec<String> = roles.iter().flat_map(|(role, all)| needless(role, all, &recorded)).collect();
    println!("{} different calls were recorded", recorded.len());
    assert!(missing.is_empty() && needless.is_empty(), "refused: {missing:#?}\nneedless: {needless:#?}");
    all_that_stands_was_written_first(&stack);
}

/// The bucket's policy refuses claims and results that are put without the condition (s3.tf, `RefuseToReplace…`), also by
/// a URL that was signed without it.
fn all_that_stands_was_written_first(stack: &Stack) {
    let mut first = 0;
    for (_, request) in stack.captured() {
        let text = String::from_utf8_lossy(&request);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let Some(path) = head.strip_prefix(&format!("PUT /{INTERNAL}/")) else { continue };
        let key = path.split(['?', ' ']).next().unwrap_or_default();
        let reported = keys::parse_callback(key).map(|(_, callback)| callback);
        if key.starts_with("tmp/claims/") || matches!(reported, Some(Callback::Result(_) | Callback::Instance(..))) {
            let has_condition = head.lines().any(|line| line.eq_ignore_ascii_case("if-none-match: *"));
            assert!(has_condition, "`{key}` was put over whatever stood there");
            first += 1;
        }
    }
    assert!(first > 20, "only {first} claims and results were captured");
}

#[test]
fn conditions_narrow_and_are_known() {
    let roles = roles(&module());
    let conditions: BTreeSet<(&str, &str)> = roles
        .values()
        .flatten()
        .filter(|statement| statement.is_recorded())
        .flat_map(|statement| statement.conditions.iter().map(|key| (statement.sid.as_str(), key.as_str())))
        .collect();
    // Whoever adds one sees to it that what is recorded fulfils it.
    assert_eq!(conditions, BTreeSet::from([("SendsCommandsToTaggedInstances", "ssm:resourceTag/exe-sys")]));
}

#[test]
fn submissions_read_plans_of_what_is_the_engines_own_and_nothing_else() {
    let (run, order) = ("r".parse().unwrap(), OrderNum::of_index(0));
    let shares = [Share::from(order), Share::of_instance(order, "i-1".parse().unwrap())];
    let of_share = |share: Share| {
        [
            keys::result(&run, share.clone()),
            keys::claim(&run, share.clone()),
            keys::stop(&run, share.clone()),
            keys::log(&run, share),
        ]
    };
    let mut forbidden: Vec<String> = shares.into_iter().flat_map(of_share).collect();
    forbidden.extend([
        keys::bundle(&run, order),
        keys::code(&run, "5a"),
        keys::targets(&run, order),
        keys::dispatch(&run, order),
        keys::result(&run, OrderNum::RUN),
        keys::cancel(&run, order),
        keys::worker_binary("5a"),
        keys::WORKER_BINARIES.to_owned(),
    ]);
    let roles = roles(&module());
    for (_, role) in ENTRIES {
        let may_read = |key: &str| {
            let object = format!("arn:aws:s3:::{INTERNAL}-{ACCOUNT}-{REGION}/{key}");
            allows(&roles[role], "s3:GetObject", &object)
        };
        let read: Vec<_> = forbidden.iter().filter(|key| may_read(key)).collect();
        assert!(read.is_empty(), "{role} may read {read:?}");
        assert!(may_read(&keys::plan(&run)) && may_read("sources/tmp/app.zip"), "{role}");
    }
}

/// A tick that ended after its first wait would leave its run to a lease that nobody gives back.
#[test]
fn nobody_writes_what_would_end_a_tick() {
    let module = module();
    let key = keys::watched(&"r".parse().unwrap(), OrderNum::RUN);
    let object = format!("arn:aws:s3:::{INTERNAL}-{ACCOUNT}-{REGION}/{key}");
    let mut all = roles(&module);
    // Of people those who may write there at all.
    all.insert("operator".to_owned(), document(&module, "operator").into_iter().collect());
    for (who, statements) in &all {
        assert!(!allows(statements, "s3:PutObject", &object), "{who} may write `{key}`");
    }
    let wake_up = object.replace(&key, &keys::result(&"r".parse().unwrap(), OrderNum::RUN));
    assert!(allows(&all["operator"], "s3:PutObject", &wake_up), "nothing is seen of operators");
    // What is signed is an order's result, or a share's, so it has another key whatever the job is called.
    assert!(!key.ends_with(keys::RESULT));
    assert!(allows(&all["step_functions"], "s3:GetObject", &object), "asking is in vain, and allowed");
}

fn is_allowed(roles: &Roles, call: &Call) -> bool {
    allows(&roles[call.role], &call.action, &call.resource)
}

/// The actions on resources of a role that nobody called.
fn needless(role: &str, statements: &BTreeSet<Statement>, recorded: &BTreeSet<Call>) -> Vec<String> {
    let permissions = statements.iter().filter(|statement| statement.is_recorded() && !statement.denies);
    let single = permissions.flat_map(|statement| {
        statement.actions.iter().flat_map(move |action| {
            statement.resources.iter().map(move |resource| Statement {
                actions: vec![action.clone()],
                resources: vec![resource.clone()],
                ..statement.clone()
            })
        })
    });
    single
        .filter(|one| !recorded.iter().any(|call| call.role == role && one.covers(&call.action, &call.resource)))
        .map(|one| format!("{role}, {}: {} on {}", one.sid, one.actions[0], one.resources[0]))
        .collect()
}

async fn everything_that_has_a_call_of_its_own() -> Stack {
    let collector = Collector::start();
    let stack = Stack::start()
        .speed(20)
        .instances(FLEET)
        .variable("AWS_EXE_SYS_SOURCE_BUCKETS", "team-sources")
        .variable("AWS_EXE_SYS_OTLP_HEADERS_PARAMETER", "/exe-sys/otlp-headers")
        .traced(&collector)
        .record()
        .await;
    what_jobs_name(&stack).await;
    submissions_that_meet_trouble(&stack).await;
    orders_on_every_target(&stack).await;
    reports_by_role(&stack).await;
    workers_that_do_not_stop(&stack).await;
    passes_that_meet_trouble(&stack).await;
    stack
}

/// Sends a job to an entry point under a run id until it is accepted.
async fn submit<'s>(stack: &'s Stack, entry: &str, run_id: &str, job: &Job) -> Run<'s> {
    let body = json!({"job": job.document(), "run_id": run_id});
    let answer = wait::until("the submission", async || {
        let answer = stack.post(entry, &body).await;
        assert!(matches!(answer.status, 200 | 409 | 500), "{} {}", answer.status, answer.text());
        (answer.status == 200).then(|| answer.json())
    });
    stack.run(answer.await, job)
}

async fn faults(stack: &Stack, faults: impl IntoIterator<Item = Fault>) {
    stack.script(&faults.into_iter().map(Value::from).collect()).await;
}

/// Credentials, keys, code, documents and the job itself from where jobs may name them.
async fn what_jobs_name(stack: &Stack) {
    let aws = &stack.aws;
    let identity = Identity::generate();
    for (name, value) in [
        ("/team/token", "hunter2"),
        ("/keys/own", identity.secret().expose_secret()),
        ("/exe-sys/otlp-headers", "x-team=us"),
    ] {
        let put = aws.ssm().put_parameter().name(name).value(value);
        put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).send().await.unwrap();
    }
    aws.secrets().create_secret().name("team/password").secret_string("hunter3").send().await.unwrap();
    aws.s3().create_bucket().bucket("team-sources").send().await.unwrap();
    for bucket in [INTERNAL, "team-sources"] {
        stack.put_object(bucket, "sources/app.zip", zipped(&[("a.txt", "a")])).await;
    }
    let document = std::fs::read_to_string(folder().join("run-commands.yaml")).unwrap();
    let create = aws.ssm().create_document().name("team-document").content(document);
    let create = create.document_format(aws_sdk_ssm::types::DocumentFormat::Yaml);
    create.document_type(aws_sdk_ssm::types::DocumentType::Command).send().await.unwrap();
    for (entry, role) in ENTRIES {
        let mut job = job().with("sops_key_ssm_path", "/keys/own");
        for (index, bucket) in [INTERNAL, "team-sources"].into_iter().enumerate() {
            job = job
                .order(&format!("by-ssm-{index}"))
                .on("ssm")
                .its("ssm_document_name", if index == 0 { "team-document" } else { "exe-sys-run-commands" })
                .its("s3_location", format!("s3://{bucket}/sources/app.zip"))
                .its("ssm_paths", json!(["/team/token"]))
                .its("secret_manager_paths", json!(["team/password"]));
        }
        if entry == "/init" {
            job = job.order("by-lambda").order("by-codebuild").on("codebuild");
        }
        for bucket in [INTERNAL, "team-sources"] {
            stack.put_object(bucket, "jobs/job.json", job.document().to_string()).await;
            let run_id = format!("named-{role}-{bucket}");
            let body = json!({"payload_s3_uri": format!("s3://{bucket}/jobs/job.json"), "run_id": run_id});
            let answer = stack.post(entry, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            expect_success(&stack.run(answer.json(), &job)).await;
        }
    }
}

/// Submissions whose answers are unclear, one that is refused, and one that takes over what succeeded before.
async fn submissions_that_meet_trouble(stack: &Stack) {
    for (entry, role) in ENTRIES {
        let job = job().order("a").on("ssm");
        for (number, fault) in [
            at("dynamodb", "UpdateItem").by(role).then("error_after"),
            at("states", "StartExecution").by(role).then("error_after"),
            at("states", "StartExecution").by(role).refused("AccessDeniedException"),
        ]
        .into_iter()
        .enumerate()
        {
            faults(stack, [fault]).await;
            expect_success(&submit(stack, entry, &format!("unclear-{role}-{number}"), &job).await).await;
        }
        faults(stack, []).await;
        let body = rerun_body(&job, &format!("again-{role}"), &format!("unclear-{role}-0"));
        let answer = stack.post(entry, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        expect_success(&stack.run(answer.json(), &job)).await;
    }
}

/// Code, logs that are put whole, looks for requests to stop, and what is skipped.
async fn orders_on_every_target(stack: &Stack) {
    // A second is 20 of engine time: long enough for the log to be put and for a look.
    let mut job = job();
    for target in ["lambda", "codebuild", "ssm"] {
        let location = format!("s3://{INTERNAL}/sources/app.zip");
        job = job.order(target).on(target).its("s3_location", location).cmds(["echo begins", "sleep 1", "cat a.txt"]);
    }
    let job = job.order("fails").cmds(["exit 1"]).tolerated().order("is-skipped").after(["fails"]);
    let ends = [
        ("lambda", Succeeded),
        ("codebuild", Succeeded),
        ("ssm", Succeeded),
        ("fails", Failed),
        ("is-skipped", Failed),
    ];
    expect(&submit(stack, "/init", "targets", &job).await, Failed, ends).await;
}

/// The signed URL is refused, and whether the role's own report was applied is unclear.
async fn reports_by_role(stack: &Stack) {
    for target in ["lambda", "codebuild"] {
        let function = if target == "lambda" { "worker" } else { target };
        let starts = StartLog::of(stack);
        let gate = stack.path(&format!("go-{target}"));
        let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
        let unclear = [
            at("s3", "PutObject").by(function).about("/tmp/claims/").then("error_after"),
            at("s3", "PutObject").by(function).about("result.json").nth(2).then("error_after"),
        ];
        faults(stack, unclear).await;
        let name = format!("by-{target}");
        let job = job().order(&name).on(target).cmds([starts.start(), held]);
        let run = submit(stack, "/init", &format!("reports-{target}"), &job).await;
        starts.until(&name).await;
        stack.end_sessions("init_job").await;
        std::fs::write(gate, "").unwrap();
        expect_success(&run).await;
        faults(stack, []).await;
    }
}

/// Frozen workers: some are asked to stop by the orchestrator, some are late. Nobody tells of the end of a build or command,
/// so that all of them are stopped by their targets.
async fn workers_that_do_not_stop(stack: &Stack) {
    let frozen = "kill -STOP $PPID; sleep 3600";
    faults(stack, [delivery_to("watchdog_check").times(100).then("drop")]).await;
    let frozen_on = |run: &str, timeout: u64| {
        let starts = StartLog::named(stack, run);
        let on = |job: Job, target: &str| {
            let job = job.order(target).on(target).timeout(timeout).stop_grace(1);
            job.cmds([starts.start(), frozen.to_owned()])
        };
        (on(on(job(), "codebuild"), "ssm"), starts)
    };
    let (job, starts) = frozen_on("cancelled", 3_600);
    let run = submit(stack, "/init", "cancelled", &job).await;
    starts.until("codebuild").await;
    starts.until("ssm").await;
    run.cancel("0000").await;
    expect(&run, Cancelled, [("codebuild", Cancelled), ("ssm", Cancelled)]).await;
    // Ten seconds: on a busy machine too the commands begin, and freeze their workers, before those find that it is late.
    let (job, _) = frozen_on("late", 200);
    let run = submit(stack, "/init", "late", &job).await;
    expect(&run, TimedOut, [("codebuild", TimedOut), ("ssm", TimedOut)]).await;
    faults(stack, []).await;
}

/// Calls of passes that are repeated, or that nobody makes because the pass died.
async fn passes_that_meet_trouble(stack: &Stack) {
    let by = |service: &str, operation: &str| at(service, operation).by("orchestrator");
    for (number, fault) in [
        by("lambda", "Invoke").then("kill_before"),
        by("ssm", "DeleteParameter").then("kill_before"),
        by("s3", "PutObject").about("/done").then("error_after"),
    ]
    .into_iter()
    .enumerate()
    {
        faults(stack, [fault]).await;
        let run = submit(stack, "/init", &format!("repeated-{number}"), &job().order("a")).await;
        expect_success(&run).await;
    }
    faults(stack, []).await;
}

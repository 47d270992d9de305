//! Traces of runs, as a collector gets them.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::json;

use crate::support::{
    Collector, Failed, Stack, Succeeded, collector::Sent, expect, expect::expect_success, faults::at, job, run::Run,
    stack::EVENTS, wait,
};

/// AWS tells when an order was dispatched by the millisecond, and the engine takes its end.
const MILLISECOND: u64 = 1_000_000;

/// The first hex digits of a text's SHA-256, as docs/TRACING.md has it computed.
fn derived(text: &str, digits: usize) -> String {
    let script = format!("printf '%s' '{text}' | sha256sum | cut -c 1-{digits}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn trace_id(run: &Run<'_>) -> String {
    derived(&format!("run/{}", run.id), 32)
}

fn span_id(run: &Run<'_>, place: &str) -> String {
    derived(&format!("run/{}/{place}", run.id), 16)
}

/// Waits until the collector has these spans of a run, by name and as often, beside passes and dispatches; gives all.
async fn until_sent(collector: &Collector, run: &Run<'_>, names: &[&str]) -> Vec<Sent> {
    let trace = trace_id(run);
    let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    wanted.sort();
    let spans = wait::within_limit(async || {
        let spans: Vec<Sent> = collector.spans().into_iter().filter(|span| span.trace == trace).collect();
        (names_of(&spans) == wanted).then_some(spans)
    });
    spans.await.unwrap_or_else(|| panic!("wanted {wanted:#?}, not {:#?}", names_of(&collector.spans())))
}

/// The names of those spans that a run has once, sorted.
fn names_of(spans: &[Sent]) -> Vec<String> {
    let each = spans.iter().map(|span| (&span.id, &span.name)).collect::<BTreeSet<_>>().into_iter();
    let mut names: Vec<String> = each.map(|(_, name)| name.clone()).filter(|name| !is_repeated(name)).collect();
    names.sort();
    names
}

fn is_repeated(name: &str) -> bool {
    name == "pass" || name.starts_with("dispatch ")
}

#[track_caller]
fn one<'s>(spans: &'s [Sent], id: &str) -> &'s Sent {
    let mut found = spans.iter().filter(|span| span.id == id);
    let span = found.next().unwrap_or_else(|| panic!("no span has the id {id}"));
    assert!(found.next().is_none(), "{} came twice", span.name);
    span
}

/// Every span is a part of one that there is, and lies in its time.
fn is_a_tree(spans: &[Sent]) {
    let by_id: BTreeMap<&str, &Sent> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(spans.iter().filter(|span| span.parent.is_none()).map(|span| &span.name).collect::<Vec<_>>(), ["run"]);
    for span in spans {
        assert!(span.start <= span.end, "{span:#?}");
        let Some(parent) = &span.parent else { continue };
        let parent = by_id.get(parent.as_str()).unwrap_or_else(|| panic!("{} has no parent", span.name));
        match span.name.as_str() {
            // It follows what it tells of.
            "callback" => assert_eq!(span.start, parent.end, "{span:#?} {parent:#?}"),
            // The one that writes `done` has still to commit.
            "pass" => assert!((parent.start..=parent.end).contains(&span.start), "{span:#?} {parent:#?}"),
            _ => {
                let is_inside = span.start + MILLISECOND >= parent.start && span.end <= parent.end + MILLISECOND;
                assert!(is_inside, "{span:#?} {parent:#?}");
            }
        }
    }
}

#[tokio::test]
async fn a_run_is_one_trace_with_each_order_once() {
    let collector = Collector::start();
    let stack = Stack::start().traced(&collector).await;
    let job = job()
        .order("builds")
        .cmds(["echo \"$CANARY\"", "sleep 0.1"])
        .order("fails")
        .on("codebuild")
        .tolerated()
        .cmds(["true", "exit 3", "true"])
        .after(["builds"])
        .order("on-instances")
        .on("ssm")
        .after(["builds"])
        .order("breaks")
        .cmds(["exit 4"])
        .after(["builds"])
        .order("is-skipped")
        .after(["breaks"]);
    let run = stack.submit(&job).await;
    let ends = [
        ("builds", Succeeded),
        ("fails", Failed),
        ("on-instances", Succeeded),
        ("breaks", Failed),
        ("is-skipped", Failed),
    ];
    expect(&run, Failed, ends).await;
    let names = [
        "run submit order order order order order start start start start",
        "commands commands commands commands callback callback callback callback fetch fetch fetch",
    ];
    let mut names: Vec<String> = names.iter().flat_map(|names| names.split(' ')).map(str::to_owned).collect();
    let mut orders = run.names.iter();
    names
        .iter_mut()
        .filter(|name| *name == "order")
        .for_each(|name| *name = format!("order {}", orders.next().unwrap()));
    names.extend(["command 1", "command 2", "command 1", "command 2", "command 1"].map(str::to_owned));
    let spans = until_sent(&collector, &run, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    is_a_tree(&spans);

    let trace = trace_id(&run);
    assert!(spans.iter().all(|span| span.trace == trace && span.attribute("run_id") == Some(&run.id)));
    let root = one(&spans, &span_id(&run, "run"));
    assert_eq!((root.attribute("status"), root.failed, root.attribute("orders")), (Some("failed"), true, Some("5")));
    assert_eq!(root.attribute("trace_id"), Some(run.trace_id()));
    let submit = one(&spans, &span_id(&run, "submit"));
    assert_eq!((submit.attribute("role"), submit.start), (Some("init_job"), root.start));

    for (name, outcome) in ends {
        let number = run.number(name);
        let order = one(&spans, &span_id(&run, &format!("order/{number}")));
        let row = run.row(name).await;
        assert_eq!(order.name, format!("order {name}"));
        assert_eq!((order.attribute("order.name"), order.attribute("order.number")), (Some(name), Some(&*number)));
        assert_eq!((order.attribute("status"), order.failed), (Some(outcome.as_str()), outcome != Succeeded));
        assert_eq!(order.attribute("order.target"), row["execution_target"].as_str());
        let nanos = |field: &str| row[field].as_str().unwrap().replace('.', "").parse::<u64>().unwrap() * 1_000;
        assert_eq!(order.end, nanos("ended_at"));
        let parts = ["start", "commands", "callback"].map(|part| span_id(&run, &format!("order/{number}/{part}")));
        if name == "is-skipped" {
            assert_eq!((order.attribute("order.dispatched"), order.start), (Some("false"), order.end));
            assert!(spans.iter().all(|span| !parts.contains(&span.id)));
            continue;
        }
        assert_eq!(order.start, nanos("dispatched_at"));
        let [start, commands, callback] = parts.map(|id| one(&spans, &id));
        assert_eq!([start.start, start.end, commands.end], [order.start, commands.start, callback.start]);
        let dispatch = spans.iter().filter(|span| span.name == format!("dispatch {name}")).collect::<Vec<_>>();
        assert_eq!(dispatch.len(), 1, "{dispatch:#?}");
        assert_eq!(dispatch[0].attribute("dispatch.result"), Some("dispatched"));
    }

    let number = run.number("fails");
    let commands = |index| one(&spans, &span_id(&run, &format!("order/{number}/commands/{index}")));
    let told = |span: &Sent| {
        (span.attribute("command.index").map(str::to_owned), span.attribute("command.exit_code").map(str::to_owned))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!([told(commands(0)), told(commands(1))], [(text("0"), text("0")), (text("1"), text("3"))]);
    assert_eq!([commands(0).failed, commands(1).failed], [false, true]);
    assert!(commands(0).end <= commands(1).start && commands(0).attribute("role") == Some("worker"));
    let failed = one(&spans, &span_id(&run, &format!("order/{number}")));
    assert_eq!((failed.attribute("order.exit_code"), failed.attribute("order.failed_command")), (Some("3"), Some("1")));
    assert_eq!(failed.attribute("order.must_succeed"), Some("false"));

    let sum = |name: &str| -> u64 {
        let passes = spans.iter().filter(|span| span.name == "pass");
        passes.map(|pass| pass.attribute(name).unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!([sum("pass.results"), sum("pass.dispatched")], [5, 4]);
    // Whatever commands print or are stays here: a command's text, a reason, a secret (which the collector looks for).
    let told = format!("{spans:?}");
    for word in ["CANARY", "sleep", "exited with"] {
        assert!(!told.contains(word), "`{word}` was sent");
    }
}

#[tokio::test]
async fn what_is_repeated_has_the_same_ids_and_times() {
    let collector = Collector::start();
    let stack = Stack::start().skip_idle().traced(&collector).await;
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let run = stack.submit(&job().order("a").cmds([held])).await;
    run.until_event("a", "dispatched").await;
    // The pass that hears of the end writes the row and fails at the event, as often as the SDK tries, and then once more
    // before it gives up; and is repeated. Then the same for the run's end. And the result is delivered twice.
    let script = [
        at("dynamodb", "BatchWriteItem").by("orchestrator").about(EVENTS).times(10).refused("InternalServerError"),
        at("dynamodb", "BatchWriteItem")
            .by("orchestrator")
            .about(EVENTS)
            .nth(2)
            .times(5)
            .refused("InternalServerError"),
        at("lambda", "Deliver").by("orchestrator").about("/0001/result.json").then("duplicate"),
    ];
    stack.script(&script.into_iter().map(serde_json::Value::from).collect()).await;
    std::fs::write(gate, "").unwrap();
    expect_success(&run).await;
    let names = ["run", "submit", "order a", "start", "fetch", "commands", "command 1", "callback"];
    let spans = until_sent(&collector, &run, &names).await;
    assert!(spans.iter().filter(|span| span.name == "pass" && span.failed).count() >= 2, "no pass was repeated");
    let mut by_id: BTreeMap<&str, Vec<&Sent>> = BTreeMap::new();
    for span in &spans {
        by_id.entry(&span.id).or_default().push(span);
    }
    for (name, is_the_same) in [("order a", true), ("callback", false)] {
        let each = by_id.values().find(|each| each[0].name == name).unwrap();
        assert!(each.len() > 1, "`{name}` was not repeated");
        assert!(each.iter().all(|span| span.start == each[0].start && (!is_the_same || *span == each[0])), "{each:#?}");
    }
    for each in by_id.values().filter(|each| each[0].name != "callback") {
        assert!(each.iter().all(|span| *span == each[0]), "{each:#?}");
    }
}

#[tokio::test]
async fn headers_go_to_the_collector_and_nowhere_else() {
    const SECRET: &str = "kanarie-of-the-collector-5f1e";
    let collector = Collector::start();
    let stack = Stack::start()
        .traced(&collector)
        .variable("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization=Bearer%20{SECRET}"))
        .variable("OTEL_SERVICE_NAME", "our-stack")
        .variable("RUST_LOG", "trace")
        .await;
    let run = stack.submit(&job().order("a").cmds(["env"]).order("b").on("codebuild").cmds(["env"])).await;
    expect_success(&run).await;
    let names = ["run", "submit", "order a", "order b"].into_iter();
    let parts = ["start", "fetch", "commands", "command 1", "callback"];
    let spans = until_sent(&collector, &run, &names.chain(parts).chain(parts).collect::<Vec<_>>()).await;
    let service = ("service.name".to_owned(), "our-stack".to_owned());
    assert!(spans.iter().all(|span| span.attributes.contains(&service)));
    let header = format!("\r\nauthorization: bearer {SECRET}\r\n");
    assert!(collector.heads().iter().all(|head| head.contains(&header)));
    for name in ["a", "b"] {
        let log = run.result_of(name).await["log"].as_str().unwrap().to_owned();
        assert!(log.contains("ORDER_ID=") && !log.contains("OTEL_"), "{log}");
    }
    let mut everything = stack.everything().await;
    everything.extend(stack.captured());
    everything.push(("logs of builds".to_owned(), stack.build_logs().into_bytes()));
    for (place, bytes) in everything {
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "the header is in {place}");
    }
}

#[tokio::test]
async fn headers_may_be_in_a_parameter() {
    let collector = Collector::start();
    let name = "/exe-sys/otlp-headers";
    let stack = Stack::start().traced(&collector).variable("AWS_EXE_SYS_OTLP_HEADERS_PARAMETER", name).await;
    let put = stack.aws.ssm().put_parameter().name(name).value("x-team=us");
    put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).send().await.unwrap();
    let run = stack.submit(&job().order("a").on("codebuild")).await;
    expect_success(&run).await;
    let names = ["run", "submit", "order a", "start", "fetch", "commands", "command 1", "callback"];
    until_sent(&collector, &run, &names).await;
    assert!(collector.heads().iter().all(|head| head.contains("\r\nx-team: us\r\n")), "{:#?}", collector.heads());
}

#[tokio::test]
async fn a_collector_that_is_not_there_changes_nothing_but_one_warning_a_process() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stack = Stack::start().variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{gone}")).await;
    let run = stack.submit(&job().order("a").order("b").after(["a"]).order("c").after(["b"])).await;
    expect_success(&run).await;
    let again = stack.submit(&job().order("a").cmds(["exit 1"])).await;
    expect(&again, Failed, [("a", Failed)]).await;
    let warnings = wait::until("warnings of three functions", async || {
        let logs = stack.function_logs();
        let warnings = logs.matches("spans are not sent").count();
        (warnings >= 3).then_some(warnings)
    });
    let warnings = warnings.await;
    // Each process of a function has a place of its own where it asks for its next event.
    let asked = |(line, _): &(String, Vec<u8>)| {
        let rest = line.split_once("/_runtime/")?.1;
        Some(rest.split('/').next()?.to_owned())
    };
    let processes: BTreeSet<String> = stack.captured().iter().filter_map(asked).collect();
    assert!(warnings <= processes.len(), "{warnings} warnings of {} processes", processes.len());
}

#[tokio::test]
async fn switched_off_nobody_connects() {
    let collector = Collector::start();
    let mut called = Vec::new();
    for variables in [&[("OTEL_SDK_DISABLED", "true")][..], &[]] {
        let stack = variables
            .iter()
            .fold(Stack::start().traced(&collector), |stack, (name, value)| stack.variable(name, value))
            .await;
        let run = stack.submit(&job().order("a").order("b").on("codebuild").after(["a"])).await;
        expect_success(&run).await;
        if variables.is_empty() {
            wait::until("spans", async || (collector.connections() > 0).then_some(())).await;
        } else {
            assert_eq!(collector.connections(), 0);
        }
        called.push(stack.calls().await.into_iter().map(|(who, what, _)| (who, what)).collect::<BTreeSet<_>>());
    }
    assert_eq!(called[0], called[1], "traces are not a matter of AWS");
}

#[tokio::test]
async fn a_refused_job_has_no_trace() {
    let collector = Collector::start();
    let stack = Stack::start().traced(&collector).await;
    let refused = stack.post("/init", &json!({"job": {"username": "tester", "orders": []}, "run_id": "refused"})).await;
    assert_eq!(refused.status, 400);
    let run = stack.submit(&job().order("a")).await;
    expect_success(&run).await;
    // The same again is answered from what stands.
    stack.submit_as(&run.id, &job().order("a")).await;
    let names = ["run", "submit", "order a", "start", "fetch", "commands", "command 1", "callback"];
    until_sent(&collector, &run, &names).await;
    let trace = trace_id(&run);
    assert!(collector.spans().iter().all(|span| span.trace == trace));
}

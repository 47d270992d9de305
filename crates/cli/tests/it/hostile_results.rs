//! Every command holds the URL of its order's result, and so may write whatever it likes there: it decides over its own
//! order and over nothing else. So does what a thief of the worker's role writes beside it.

use common::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::support::{Stack, job, stack::INTERNAL};

/// A name, the bytes of `result.json`, and how the reason of the failed order must begin after what all begin with.
fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let event = |event: Value| json!({"status": "succeeded", "events": [event]}).to_string().into_bytes();
    let many =
        |event: &str, count: usize| format!(r#"{{"status":"succeeded","events":[{}]}}"#, vec![event; count].join(","));
    let small = r#"{"event_type":"e","status":"s","epoch":1}"#;
    let zeros = format!(r#"{{"status":"succeeded","events":[{{"data":{{"a":[{}0]}}}}]}}"#, "0,".repeat(7 << 20));
    let deep = format!(r#"{{"status":"succeeded","x":{}}}"#, "[".repeat(100_000));
    vec![
        ("nothing", b"".to_vec(), "EOF while parsing"),
        ("text", b"succeeded".to_vec(), "expected value"),
        ("bytes", b"{\"status\":\"succeeded\",\"log\":\"\xff\"}".to_vec(), "invalid unicode"),
        ("list", b"[]".to_vec(), "invalid length 0"),
        ("no-status", b"{}".to_vec(), "missing field `status`"),
        ("bad-status", br#"{"status":"running"}"#.to_vec(), "status: unknown variant `running`"),
        (
            "long-status",
            json!({"status": "\u{1b}[2J".repeat(1 << 20)}).to_string().into_bytes(),
            "status: unknown variant",
        ),
        ("twice", br#"{"status":"succeeded","status":"failed"}"#.to_vec(), "duplicate field `status`"),
        ("log", br#"{"status":"succeeded","log":3}"#.to_vec(), "log: invalid type"),
        ("time", br#"{"status":"succeeded","started_at":-1}"#.to_vec(), "started_at: "),
        ("late", br#"{"status":"succeeded","finished_at":18446744073709551615}"#.to_vec(), "finished_at: "),
        (
            "large",
            json!({"status": "succeeded", "log": "x".repeat(17 << 20)}).to_string().into_bytes(),
            "must have fewer than",
        ),
        ("values", zeros.into_bytes(), "has more than"),
        ("deep", deep.into_bytes(), "recursion limit"),
        ("events", many(small, 1_001).into_bytes(), "events: must be at most 1000"),
        (
            "word",
            event(json!({"event_type": "e".repeat(100_000), "status": "s", "epoch": 1})),
            "events[0].event_type: must have 1 to 128",
        ),
        (
            "data",
            event(json!({"event_type": "e", "status": "s", "epoch": 1, "data": {"a": "x".repeat(500_000)}})),
            "events[0].data: must have at most",
        ),
    ]
}

/// The same for results that count, however odd they are.
fn taken() -> Vec<(&'static str, Value)> {
    let nested = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let event =
        |epoch: Value| json!({"event_type": "e", "status": "s", "epoch": epoch, "data": {"deep": nested, "": 1e300}});
    vec![
        ("reason", json!({"status": "succeeded", "reason": "\u{1b}[2J\u{202e}".repeat(500_000)})),
        (
            "future",
            json!({"status": "succeeded", "started_at": "9999999999.9", "finished_at": "18446744073709.551615"}),
        ),
        (
            "past",
            json!({"status": "succeeded", "started_at": 0, "finished_at": 0, "events": [event(json!(0)), event(json!(18_446_744_073_709_u64))]}),
        ),
        (
            "elsewhere",
            json!({"status": "succeeded", "log_location": "logs/another-run/0001.log", "writer": "engine\u{0}"}),
        ),
        ("unknown", json!({"status": "succeeded", "unheard": {"of": [1, 2, 3]}, "schema_version": 4_000_000_000u64})),
    ]
}

#[tokio::test]
async fn a_hostile_result_decides_over_its_own_order_alone() {
    let stack = Stack::start().await;
    let folder = stack.new_folder("results");
    let mut job = job();
    let taken: Vec<_> = taken().into_iter().map(|(name, body)| (name, body.to_string().into_bytes())).collect();
    let refused = refused();
    let all = refused.iter().map(|(name, body, _)| (name, body)).chain(taken.iter().map(|(name, body)| (name, body)));
    for (name, body) in all {
        let file = folder.join(name);
        std::fs::write(&file, body).unwrap();
        let put = format!(
            "curl --silent --fail --header 'If-None-Match: *' --upload-file '{}' \"$CALLBACK_URL\"",
            file.display()
        );
        job = job.order(name).tolerated().cmds([put]);
    }
    let names = job.names();
    let job = job.order("after").tolerated().after(names.iter().map(String::as_str)).order("beside");
    let before = Clock::REAL.now();
    let run = stack.submit(&job).await;
    assert_eq!(run.done().await["status"], "succeeded");

    let mut wrong = Vec::new();
    for (name, _, reason) in &refused {
        let row = run.row(name).await;
        let told = row["failure_reason"].as_str().unwrap_or_default();
        let is_right = row["status"] == "failed"
            && told.strip_prefix("its result.json cannot be read: ").is_some_and(|told| told.starts_with(reason))
            && told.len() < 2_000
            && !told.contains(char::is_control);
        wrong.extend((!is_right).then(|| format!("{name} {}: {told}", row["status"])));
    }
    assert_eq!(wrong, [""; 0]);
    for (name, _) in &taken {
        let row = run.row(name).await;
        assert_eq!(row["status"], "succeeded", "{name}: {row}");
        assert!(row.get("log_location").is_none(), "{name}: {row}");
        let reason = row["failure_reason"].as_str().unwrap_or_default();
        assert!(reason.chars().count() < 50_000 && !reason.contains(char::is_control), "{name}");
        for time in ["dispatched_at", "ended_at"] {
            let told: Timestamp = row[time].as_str().unwrap().parse().unwrap();
            assert!((before..=Clock::REAL.now()).contains(&told), "{name}: {row}");
        }
        let ends = run.events_of(name).await.iter().filter(|event| event["event_type"] == "completed").count();
        assert_eq!(ends, 1, "{name}");
    }
    let events = run.events_of("past").await;
    assert_eq!(events.iter().filter(|event| event["event_type"] == "e").count(), 2);
    for name in ["after", "beside"] {
        assert_eq!(run.row(name).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn claims_and_requests_of_the_future_hold_up_nothing() {
    let stack = Stack::start().speed(20).await;
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let job = job().order("first").cmds([held]).order("stolen").after(["first"]).its("timeout", 5).stop_grace(0);
    let run = stack.submit(&job).await;
    let far = json!({"nonce": "n", "by": "lambda:nobody", "at": "9999999999.000000"});
    stack.put_object(INTERNAL, &format!("tmp/claims/{}/0002.json", run.id), far.to_string()).await;
    let stop = json!({"nonce": "n", "at": "9999999999.000000", "status": "cancelled", "reason": "later"});
    stack.put_object(INTERNAL, &format!("tmp/claims/{}/0002.stop.json", run.id), stop.to_string()).await;
    std::fs::write(gate, "").unwrap();
    assert_eq!(run.done().await["status"], "failed");
    assert_eq!(
        (run.row("first").await["status"].as_str(), run.row("stolen").await["status"].as_str()),
        (Some("succeeded"), Some("cancelled"))
    );
}

#[tokio::test]
async fn many_results_with_many_events_are_recorded_to_the_end() {
    let stack = Stack::start().await;
    let event = json!({"event_type": "e", "status": "s", "epoch": 1, "data": {}});
    let body = json!({"status": "succeeded", "events": vec![event; 1_000]}).to_string();
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let names: Vec<String> = (0..6).map(|number| format!("flood-{number}")).collect();
    let job = names.iter().fold(job().order("gate").cmds([held]), |job, name| job.order(name).after(["gate"]));
    let run = stack.submit(&job.order("beside")).await;
    for name in &names {
        let key = format!("tmp/callbacks/runs/{}/{}/result.json", run.id, run.number(name));
        stack.put_object(INTERNAL, &key, body.clone()).await;
    }
    std::fs::write(gate, "").unwrap();
    assert_eq!(run.done().await["summary"]["succeeded"], 8);
    for name in &names {
        assert_eq!(run.events_of(name).await.iter().filter(|event| event["event_type"] == "e").count(), 1_000);
    }
}

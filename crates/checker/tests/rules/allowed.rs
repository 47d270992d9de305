//! What faults and outsiders may do to a run, and what is right all the same.

use checker::{Evidence, Started, check};
use serde_json::{Value, json};

use crate::healthy::{at, event, evidence, job, line, ms, put};

fn body<'e>(evidence: &'e mut Evidence, key: &str) -> &'e mut Value {
    evidence.objects.get_mut(key).unwrap().body.as_mut().unwrap()
}

#[track_caller]
fn allow(what: &str, change: impl FnOnce(&mut Evidence)) {
    allow_of(&job(), what, change);
}

#[track_caller]
fn allow_of(job: &Value, what: &str, change: impl FnOnce(&mut Evidence)) {
    let mut evidence = evidence();
    change(&mut evidence);
    let found = check(job, &evidence);
    assert!(found.is_empty(), "{what}: {found:#?}");
}

/// The job ended so, by `done` and by its last event.
fn end_as(evidence: &mut Evidence, status: &str) {
    evidence.done.as_mut().unwrap().body.as_mut().unwrap()["status"] = json!(status);
    evidence.events.last_mut().unwrap()["status"] = json!(status);
}

/// The engine reported the order for its worker, after it had asked that to stop.
fn give_up(evidence: &mut Evidence) {
    let request = json!({"nonce": "stop", "at": at(4), "status": "failed", "reason": "its build was lost"});
    put(evidence, "tmp/claims/run-1/0004.stop.json", 4, request);
    body(evidence, "tmp/callbacks/runs/run-1/0004/result.json")["writer"] = json!("engine");
}

#[test]
fn a_lost_worker_is_reported_by_the_engine_after_a_request_to_stop() {
    allow("a lost worker", give_up);
}

#[test]
fn whoever_has_the_url_of_a_result_may_write_what_it_likes() {
    allow("a foreign result", |evidence| {
        *body(evidence, "tmp/callbacks/runs/run-1/0004/result.json") = json!({"status": "failed", "finished_at": 7});
        let row = evidence.rows.get_mut("0004").unwrap().as_object_mut().unwrap();
        row.remove("failure_reason");
    });
    allow("a foreign result that cannot be read", |evidence| {
        *body(evidence, "tmp/callbacks/runs/run-1/0004/result.json") =
            json!({"status": "succeeded", "exit_code": "none"});
    });
}

#[test]
fn a_run_that_is_cancelled_ends_as_cancelled_if_that_came_in_time() {
    let cancel =
        |evidence: &mut Evidence| put(evidence, "tmp/callbacks/runs/run-1/_cancel/0000/result.json", 3, json!({}));
    allow("a request that met nothing any more", cancel);
    allow("a request that ended an order", |evidence| {
        cancel(evidence);
        end_as(evidence, "cancelled");
    });
}

#[test]
fn at_the_deadline_a_tolerated_order_takes_the_job_along() {
    let mut job = job();
    job["job_timeout"] = json!(60);
    allow_of(&job, "the deadline", |evidence| {
        evidence.item.as_mut().unwrap()["deadline"] = json!(ms(60));
        end_as(evidence, "timed_out");
    });
}

#[test]
fn a_dependency_that_was_given_up_may_go_on_where_nobody_reaches_it() {
    allow("`late` waits for `fails`", |evidence| {
        give_up(evidence);
        evidence.starts.push(line("fails", None, Started::End, ms(30)));
    });
}

#[test]
fn a_dispatch_that_is_repeated_may_be_written_down_after_the_end() {
    allow("the first pass died", |evidence| {
        evidence.rows.get_mut("0004").unwrap()["dispatched_at"] = at(5);
        let url = json!({"execution_url": "https://console"});
        let again = event("fails", Some("0004"), "dispatched", "running", 5, &url);
        evidence.events.retain(|event| event["order_name"] != "fails" || event["event_type"] != "dispatched");
        evidence.events.push(again);
        evidence.events.sort_by_key(|event| event["epoch"].as_str().unwrap().to_owned());
    });
}

#[test]
fn s3_gives_whole_seconds_and_the_embedded_one_milliseconds() {
    allow("milliseconds", |evidence| {
        for stored in evidence.objects.values_mut() {
            stored.written_ms += 1;
        }
        evidence.done.as_mut().unwrap().written_ms += 1;
    });
}

#[test]
fn evidence_can_be_kept_in_a_file() {
    let text = serde_json::to_string(&evidence()).unwrap();
    let kept: Evidence = serde_json::from_str(&text).unwrap();
    assert_eq!(kept, evidence());
    assert!(check(&job(), &kept).is_empty());
}

//! The events: each of the engine's once and in order, and those that commands reported.

use serde_json::{Value, json};

use super::Found;
use crate::{
    times,
    view::{OrderView, View},
};

/// Events that end an order.
const ENDINGS: [&str; 4] = ["completed", "dependency_failed", "timed_out", "cancelled"];

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    for event in &view.evidence.events {
        check_shape(view, event, found);
    }
    for order in &view.orders {
        check_dispatched(order, found);
        if order.reused_from().is_none() {
            check_ending(order, found);
        }
        check_reported(order, found);
    }
    check_job(view, found);
}

fn check_shape(view: &View<'_>, event: &Value, found: &mut Found) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let (name, epoch) = (text("order_name"), text("epoch"));
    let item = view.evidence.item.as_ref();
    let of_item = |field: &str| item.and_then(|item| item.get(field)).cloned().unwrap_or_default();
    let order = view.orders.iter().find(|order| order.order.name == name);
    found.hold(order.is_some() || name == "_job", 4, || format!("an event is about `{name}`, which is no order"));
    found.hold(times::field(event, "epoch").is_some(), 4, || format!("`{epoch}` is no time of an event of `{name}`"));
    let trace_id = of_item("trace_id");
    let second = epoch.split('.').next().unwrap_or_default();
    let mut facts = vec![
        ("sk", json!(format!("{name}:{epoch}"))),
        ("leg", json!(format!("{}:{second}", trace_id.as_str().unwrap_or_default()))),
        ("trace_id", trace_id),
        ("flow_id", of_item("flow_id")),
        ("run_id", json!(view.evidence.run_id)),
    ];
    facts.extend(order.map(|order| ("order_num", json!(order.order.number))));
    for (field, should) in facts {
        let is = &event[field];
        found.hold(*is == should, 4, || {
            format!("`{field}` of the event `{}` of `{name}` is {is}, not {should}", text("event_type"))
        });
    }
}

fn check_dispatched(order: &OrderView<'_>, found: &mut Found) {
    let name = &order.whole.name;
    let dispatched: Vec<&Value> = order.of_engine().filter(|event| event["event_type"] == "dispatched").collect();
    let row_has = order.row.and_then(|row| row.get("dispatched_at"));
    let started = order.whole.result.is_some_and(|result| result.writer.is_some() && result.at("started_at").is_some());
    let should = usize::from(row_has.is_some());
    found.hold(dispatched.len() == should, 13, || {
        format!("{name} has {} events of its dispatch, and its row {row_has:?}", dispatched.len())
    });
    found.hold(row_has.is_some() || !started, 4, || {
        format!("{name} ran, and its row does not say when it was dispatched")
    });
    found.hold(row_has.is_some() || order.starts.is_empty(), 4, || format!("{name} began, and was never dispatched"));
    if let (Some(event), Some(row_has)) = (dispatched.first(), row_has) {
        found.hold(event["epoch"] == *row_has, 4, || {
            format!("{name} was dispatched at {row_has} by its row and at {} by its event", event["epoch"])
        });
        found.hold(event["status"] == "running", 4, || format!("{name} was dispatched as {}", event["status"]));
        found.hold(event["execution_url"].is_string(), 4, || {
            format!("the dispatch of {name} does not say where it runs")
        });
    }
    let in_order = order.is_reported_by_us() && !order.is_dispatched_again();
    if let (Some(first), false, true) = (order.events.first(), dispatched.is_empty(), in_order) {
        found.hold(first["event_type"] == "dispatched", 4, || {
            format!("the first event of {name} is {}, not its dispatch", first["event_type"])
        });
    }
}

fn check_ending(order: &OrderView<'_>, found: &mut Found) {
    let name = &order.whole.name;
    let endings = order.of_engine().filter(|event| ENDINGS.iter().any(|kind| event["event_type"] == *kind));
    let endings: Vec<&Value> = endings.collect();
    let [ending] = endings[..] else {
        let kinds: Vec<_> = endings.iter().map(|event| &event["event_type"]).collect();
        return found.add(4, format!("{name} has these events of its end, not one: {kinds:?}"));
    };
    let should = match (order.status, order.whole.result) {
        ("failed", Some(result)) if result.is_skipped() => "dependency_failed",
        ("succeeded" | "failed", _) => "completed",
        (other, _) => other,
    };
    found.hold(ending["event_type"] == should, 4, || {
        format!("the end of {name} is told as {}, not `{should}`", ending["event_type"])
    });
    found.hold(ending["status"] == order.status, 4, || {
        format!("the event of the end of {name} says {}, the ledger `{}`", ending["status"], order.status)
    });
    let is_dispatch = |event: &Value| event["event_type"] == "dispatched" && event.get("data").is_none();
    let last = order.events.iter().rfind(|event| !order.is_dispatched_again() || !is_dispatch(event));
    found.hold(last == Some(&ending), 4, || format!("the end of {name} is not its last event"));
    let told = order.row.and_then(|row| row.get("failure_reason")).filter(|_| order.status != "succeeded");
    found.hold(told.is_none_or(|told| ending["message"] == *told), 4, || {
        format!("the event of the end of {name} says {}, the row {told:?}", ending["message"])
    });
    // Moved on by a microsecond for each event that stands in its way.
    let others = order.events.len() as u64;
    if let (Some(at), Some(ended)) = (times::field(ending, "epoch"), order.at("ended_at")) {
        found.hold((ended..=ended + others).contains(&at), 4, || {
            format!("{name} ended at another time by its event than by its row: {}", ending["epoch"])
        });
    }
}

/// What its commands reported.
fn check_reported(order: &OrderView<'_>, found: &mut Found) {
    let key =
        |event: &Value| (event["event_type"].as_str().map(str::to_owned), event["status"].as_str().map(str::to_owned));
    let mut told: Vec<_> =
        order.events.iter().filter(|event| event.get("data").is_some()).map(|event| key(event)).collect();
    let Some(result) = order.whole.result else {
        return found.hold(told.is_empty(), 4, || {
            format!("{} did not run, and its commands reported {told:?}", order.whole.name)
        });
    };
    if result.writer.is_none() {
        return;
    }
    let reported = result.stored.field("events").and_then(Value::as_array);
    let mut should: Vec<_> = reported.into_iter().flatten().map(key).collect();
    told.sort();
    should.sort();
    found.hold(told == should, 4, || {
        format!("the commands of {} reported {should:?}, its events are {told:?}", order.whole.name)
    });
    let count = order.of_engine().count();
    found.hold(count <= 2, 4, || format!("{} has {count} events of the engine", order.whole.name));
}

fn check_job(view: &View<'_>, found: &mut Found) {
    let events = &view.evidence.events;
    let of_job: Vec<&Value> = events.iter().filter(|event| event["order_name"] == "_job").collect();
    let kinds: Vec<&str> = of_job.iter().filter_map(|event| event["event_type"].as_str()).collect();
    if kinds != ["job_started", "job_completed"] {
        return found.add(5, format!("the job's events are {kinds:?}"));
    }
    let (started, completed) = (of_job[0], of_job[1]);
    found.hold(events.first() == Some(started), 4, || "the start of the job is not its first event".to_owned());
    found.hold(events.last() == Some(completed), 5, || "the end of the job is not its last event".to_owned());
    found.hold(started["status"] == "running", 4, || format!("the job started as {}", started["status"]));
    let created = view.orders.first().and_then(|order| order.row).map(|row| &row["created_at"]);
    found.hold(created.is_none_or(|created| started["epoch"] == *created), 4, || {
        format!("the job started at {}, and was created at {created:?}", started["epoch"])
    });
    let done = view.evidence.done.as_ref().and_then(|done| done.body.clone()).unwrap_or_default();
    for field in ["status", "summary"] {
        found.hold(completed[field] == done[field], 5, || {
            format!("the job's last event has {} as `{field}`, `done` {}", completed[field], done[field])
        });
    }
    let endpoint = format!("s3://{}/{}/done", view.evidence.names.done, view.evidence.run_id);
    found.hold(completed["done_endpt"] == endpoint, 5, || {
        format!("the job's last event points to {}", completed["done_endpt"])
    });
}

//! Two looks at one run: what stands must stand, and everything else only moves forward. Also while the run lasts.

use serde_json::Value;

use crate::{
    evidence::{Evidence, Stored},
    letters,
    rules::{Found, Violation},
    view::OUTCOMES,
};

/// Of the run item, what the submission wrote once and for all.
const OF_SUBMISSION: [&str; 9] =
    ["pk", "run_id", "trace_id", "flow_id", "deadline", "plan_key", "submit_id", "job_digest", "answer"];
/// Of a row, what the submission wrote, and what is set once.
const SET_ONCE: [&str; 11] = [
    "order_name",
    "queue_id",
    "cmds",
    "dependencies",
    "must_succeed",
    "timeout",
    "execution_target",
    "created_at",
    "dispatched_at",
    "ended_at",
    "reused_from",
];

/// What changed between an earlier and a later look at a run that had been accepted at the earlier one, and must not have.
pub fn unchanged(earlier: &Evidence, later: &Evidence) -> Vec<Violation> {
    let mut found = Found::default();
    check_objects(earlier, later, &mut found);
    check_done(earlier, later, &mut found);
    check_item(earlier, later, &mut found);
    check_rows(earlier, later, &mut found);
    check_events(earlier, later, &mut found);
    found.hold(later.starts.starts_with(&earlier.starts), 1, || "the start log lost or changed lines".to_owned());
    found.into_violations()
}

/// Whether the first one written at this key stands for ever.
fn stands(run_id: &str, key: &str) -> bool {
    let below = |prefix: &str| key.strip_prefix(&format!("{prefix}/{run_id}/"));
    below("tmp/claims").is_some()
        || below("tmp/callbacks/runs").is_some_and(|rest| !rest.starts_with("0000/") && !rest.starts_with("_cancel/"))
        || below("tmp/exec").is_some_and(|rest| rest == "plan.json" || rest.ends_with("/targets.json"))
}

fn is_same(earlier: &Stored, later: &Stored) -> bool {
    earlier == later
}

fn check_objects(earlier: &Evidence, later: &Evidence, found: &mut Found) {
    for (key, was) in earlier.objects.iter().filter(|(key, _)| stands(&earlier.run_id, key)) {
        match later.objects.get(key) {
            None => found.add(4, format!("`{key}` vanished")),
            Some(is) => found.hold(is_same(was, is), 4, || format!("`{key}` was written again")),
        }
    }
}

fn check_done(earlier: &Evidence, later: &Evidence, found: &mut Found) {
    let Some(was) = &earlier.done else { return };
    found.hold(later.done.as_ref().is_some_and(|is| is_same(was, is)), 5, || {
        "`done` vanished or was written again".to_owned()
    });
}

fn check_item(earlier: &Evidence, later: &Evidence, found: &mut Found) {
    let Some(was) = &earlier.item else { return };
    let Some(is) = &later.item else {
        return found.add(6, "the run item vanished");
    };
    for field in OF_SUBMISSION {
        found.hold(was[field] == is[field], 7, || format!("`{field}` of the run item changed"));
    }
    let is_allowed = match was["status"].as_str() {
        Some("completed") => is == was,
        Some("idle" | "active") => is["status"] != "submitting",
        _ => true,
    };
    found.hold(is_allowed, 15, || format!("the run item went from {} to {is}", was["status"]));
    let read = |item: &Value| letters::read(item["orders"].as_str().unwrap_or_default()).unwrap_or_default();
    let (was, is) = (read(was), read(is));
    found.hold(was.len() == is.len(), 15, || "the ledger has another length".to_owned());
    for (index, (was, is)) in was.iter().zip(&is).enumerate() {
        found.hold(is_forward(was, is), 15, || format!("order {:04} went from {was} to {is} in the ledger", index + 1));
    }
}

fn check_rows(earlier: &Evidence, later: &Evidence, found: &mut Found) {
    for (number, was) in &earlier.rows {
        let Some(is) = later.rows.get(number) else {
            found.add(4, format!("the row {number} vanished"));
            continue;
        };
        let status = |row: &Value| row["status"].as_str().unwrap_or_default().to_owned();
        found.hold(is_forward(&status(was), &status(is)), 15, || {
            format!("the row {number} went from {} to {}", was["status"], is["status"])
        });
        for field in SET_ONCE.into_iter().filter(|field| was.get(field).is_some()) {
            found.hold(was[field] == is[field], 4, || format!("`{field}` of the row {number} changed"));
        }
    }
}

fn check_events(earlier: &Evidence, later: &Evidence, found: &mut Found) {
    for was in &earlier.events {
        let is_it = |is: &&Value| ["sk", "event_type", "status"].iter().all(|field| was[field] == is[field]);
        found.hold(later.events.iter().any(|is| is_it(&is)), 4, || {
            format!("the event {} vanished or changed", was["sk"])
        });
    }
}

/// Whether a status may come after another, or be the same.
fn is_forward(was: &str, is: &str) -> bool {
    was == is
        || match was {
            "queued" => is == "running" || OUTCOMES.contains(&is),
            "running" => OUTCOMES.contains(&is),
            _ => false,
        }
}

//! Claims, requests to stop and results that belong together: of an order, or of one instance's share.

use std::collections::BTreeSet;

use super::Found;
use crate::{
    evidence::Stored,
    view::{OUTCOMES, OrderView, Reported, Share, View},
};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    let mut nonces = BTreeSet::new();
    for order in &view.orders {
        for share in order.all() {
            check_claim(order, share, found);
            if let Some(nonce) = share.claim.and_then(|claim| claim.text("nonce")) {
                found.hold(nonces.insert(nonce), 1, || {
                    format!("the nonce of the claim of {} is drawn twice", share.name)
                });
            }
            check_stop(share, found);
            if let Some(result) = share.result {
                check_writer(order, share, &result, found);
                check_content(view, order, share, &result, found);
            }
        }
        if order.whole.claim.is_some() && order.whole.result.is_none() {
            found.add(4, format!("{} was claimed and has no result", order.whole.name));
        }
    }
    for (whose, kind) in view.evidence.claims() {
        let is_ours = view.job.orders.iter().any(|order| order.number == whose.order);
        found.hold(is_ours, 4, || format!("there is a {kind} of `{}`, which is no order of the job", whose.order));
    }
}

fn check_claim(order: &OrderView<'_>, share: &Share<'_>, found: &mut Found) {
    let Some(claim) = share.claim else { return };
    let name = &share.name;
    let by = claim.text("by").unwrap_or_default();
    let nonce = claim.text("nonce").unwrap_or_default();
    found.hold(share.claimed_at().is_some() && !nonce.is_empty(), 1, || format!("the claim of {name} cannot be read"));
    found.hold(nonce.is_empty() || !by.contains(nonce), 1, || {
        format!("the nonce of the claim of {name} is its request's id, which all its deliveries share")
    });
    if by == "engine" {
        let (status, reason) = (claim.text("status"), claim.text("reason"));
        found.hold(status.is_some_and(|status| OUTCOMES[1..].contains(&status)) && reason.is_some(), 4, || {
            format!("the engine's claim of {name} does not say how and why it ended")
        });
        return;
    }
    let target = order.row.and_then(|row| row["execution_target"].as_str()).unwrap_or_default();
    let rest = by.strip_prefix(target).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
    let is_its_worker = match share.instance {
        Some(instance) => rest.split_once(':').is_some_and(|(command, on)| !command.is_empty() && on == instance),
        None => !rest.is_empty() && target != "ssm",
    };
    found.hold(is_its_worker, 1, || format!("{name} on `{target}` is claimed by `{by}`"));
}

/// A worker is asked to stop only where one has the claim, and only with a word on how it is to end.
fn check_stop(share: &Share<'_>, found: &mut Found) {
    let Some(stop) = share.stop else { return };
    let name = &share.name;
    found.hold(share.claim.is_some() && !share.is_the_engines(), 2, || {
        format!("{name} is asked to stop though no worker has its claim")
    });
    let status = stop.text("status").unwrap_or_default();
    found.hold(OUTCOMES[1..].contains(&status) && stop.text("reason").is_some(), 4, || {
        format!("the request to stop {name} does not say how and why")
    });
    // By S3's clock: whoever asks may have stood still since it drew up the request.
    found.hold(share.claim.is_none_or(|claim| claim.written_ms <= stop.latest_ms()), 2, || {
        format!("{name} was asked to stop before it was claimed")
    });
}

/// Who may write which result.
fn check_writer(order: &OrderView<'_>, share: &Share<'_>, result: &Reported<'_>, found: &mut Found) {
    let name = &share.name;
    match (result.writer, share.claimed_by()) {
        // Whoever has its URL may report an order; what is said holds.
        (None, _) => {}
        (Some("engine"), _) if share.instance.is_none() && order.is_on_instances() => {
            // Composed of its shares, or ended as a whole: in `shares`.
        }
        (Some("engine"), Some("engine")) => {
            let claim = |field: &str| share.claim.and_then(|claim| claim.text(field));
            let skipped = |stored: &Stored| stored.field("skipped") == Some(&true.into());
            let is_so = claim("status") == Some(result.status)
                && claim("reason") == result.stored.text("reason")
                && share.claim.is_some_and(skipped) == skipped(result.stored);
            found.hold(is_so, 4, || format!("the engine's claim and its result of {name} tell different ends"));
        }
        (Some("engine"), Some(_)) => {
            let asked = share.stop.and_then(|stop| stop.text("status"));
            found.hold(asked == Some(result.status), 2, || {
                format!(
                    "the engine wrote `{}` as the result of {name}, which a worker has; the worker was asked to stop as {asked:?}",
                    result.status
                )
            });
        }
        (Some("engine"), None) => found.add(2, format!("the engine wrote the result of {name} without its claim")),
        (Some(writer), claimed) => {
            found.hold(claimed == Some(writer), 1, || {
                format!("{name} is reported by `{writer}` and claimed by {claimed:?}")
            });
            let ended_by = if share.instance.is_some() { order.whole.claim } else { None };
            let asked = [share.stop, ended_by].into_iter().flatten().any(|by| by.text("status") == Some("cancelled"));
            found.hold(result.status != "cancelled" || asked, 4, || {
                format!("the worker of {name} reports that it was cancelled, and nobody asked it to stop")
            });
        }
    }
}

/// What a result of the engine's own writers has.
fn check_content(view: &View<'_>, order: &OrderView<'_>, share: &Share<'_>, result: &Reported<'_>, found: &mut Found) {
    if result.writer.is_none() {
        return;
    }
    let (name, stored) = (&share.name, result.stored);
    found.hold(stored.field("schema_version").is_some_and(|version| *version == 1), 4, || {
        format!("the result of {name} has no version that is known")
    });
    let is_composed = share.instance.is_none() && order.is_on_instances();
    let is_fine = |code: Option<i64>| code.is_none_or(|code| code == 0) && stored.field("failed_command").is_none();
    if result.status == "succeeded" {
        let code = stored.field("exit_code").and_then(serde_json::Value::as_i64);
        found.hold(is_fine(code), 4, || format!("{name} succeeded with a command that failed"));
    } else {
        found.hold(stored.text("reason").is_some_and(|reason| !reason.is_empty()), 4, || {
            format!("the result of {name} does not say why it did not succeed")
        });
    }
    if let Some(failed) = stored.field("failed_command").and_then(serde_json::Value::as_u64) {
        let many = order.order.cmds.len() as u64;
        found.hold(failed < many, 4, || format!("command {failed} of {name} failed, which has only {many}"));
    }
    if let Some(key) = stored.text("log_location") {
        let is_there = view
            .evidence
            .objects
            .keys()
            .any(|known| known == key || (is_composed && key.ends_with('/') && known.starts_with(key)));
        found.hold(is_there, 4, || format!("the log of {name} is not at `{key}`"));
    }
}

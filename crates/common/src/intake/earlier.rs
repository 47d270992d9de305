//! The run that `rerun_of` names: whether its successes may count, and which there are.
//!
//! Read when the new run is reserved already. So a submission that comes again gets the answer that the first one got, also
//! when the earlier run's plan has gone in the meantime; one that is refused here gives its reservation back.

use serde::Deserialize;

use super::{
    answer::NotAccepted,
    reuse::{Success, Successes},
    settings::Settings,
};
use crate::{
    aws::Aws,
    ids::{OrderName, RunId},
    ledger::Ledger,
    objects::Objects,
    plan::{self, SCHEMA_VERSION},
    run_item::{RunItem, RunItems, RunStatus},
    status::{Outcome, Status},
};

/// An earlier run that is over.
#[derive(Debug)]
pub struct Earlier {
    /// The key of its orders' digests.
    pub digest_key: String,
    /// What succeeded in it.
    pub successes: Successes,
}

/// Of a plan, what tells whether the rest can be read.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Of a plan, what is asked here; graph and limits, which may be large, are passed over.
#[derive(Deserialize)]
struct EarlierPlan {
    submit_id: String,
    orders: Vec<EarlierOrder>,
}

#[derive(Deserialize)]
struct EarlierOrder {
    name: OrderName,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    reused_from: Option<RunId>,
}

/// Reads the run.
///
/// # Errors
/// If there is no such run, it is not over, or too little is left of it; each says what to do instead.
pub async fn read(aws: &Aws, settings: &Settings, run: &RunId) -> Result<Earlier, NotAccepted> {
    let item = RunItems::new(aws, &settings.locks_table).get(run).await?;
    let item = item.ok_or_else(|| refused(format_args!("there is no run `{run}`; {EVERY_ORDER}")))?;
    check(&item)?;
    let objects = Objects::new(aws, &settings.internal_bucket);
    let plan = objects.get(&item.plan_key, plan::MAX_BYTES).await?.ok_or_else(|| gone(run))?;
    let successes = successes(&item, &plan.body)?;
    Ok(Earlier { digest_key: item.digest_key, successes })
}

/// The way out that is always there.
const EVERY_ORDER: &str = "leave `rerun_of` out to run every order";

fn refused(problem: std::fmt::Arguments<'_>) -> NotAccepted {
    NotAccepted::Invalid(vec![format!("rerun_of: {problem}")])
}

fn gone(run: &RunId) -> NotAccepted {
    refused(format_args!(
        "the plan of the run `{run}` is gone, which is kept for about a day from its submission; {EVERY_ORDER}"
    ))
}

fn newer(run: &RunId, version: u32) -> NotAccepted {
    refused(format_args!("the run `{run}` is of version {version}, which this release does not know; {EVERY_ORDER}"))
}

/// Whether the run is over, and one that can be read.
fn check(item: &RunItem) -> Result<(), NotAccepted> {
    let run = &item.run_id;
    if item.schema_version > SCHEMA_VERSION {
        return Err(newer(run, item.schema_version));
    }
    match item.status {
        RunStatus::Completed => Ok(()),
        RunStatus::Submitting => {
            Err(refused(format_args!("the run `{run}` is still being submitted, nothing of it has run; {EVERY_ORDER}")))
        }
        RunStatus::Idle | RunStatus::Active => {
            Err(refused(format_args!("the run `{run}` has not ended; wait for its end, or cancel it")))
        }
    }
}

/// What succeeded, by the ledger and the plan.
fn successes(item: &RunItem, plan: &[u8]) -> Result<Successes, NotAccepted> {
    let run = &item.run_id;
    let unreadable = |error: &dyn std::fmt::Display| {
        refused(format_args!("what is stored of the run `{run}` cannot be read: {error}; {EVERY_ORDER}"))
    };
    let ledger: Ledger = item.orders.parse().map_err(|error| unreadable(&error))?;
    let Version { schema_version } = serde_json::from_slice(plan).map_err(|error| unreadable(&error))?;
    if schema_version > SCHEMA_VERSION {
        return Err(newer(run, schema_version));
    }
    let plan: EarlierPlan = serde_json::from_slice(plan).map_err(|error| unreadable(&error))?;
    if plan.submit_id != item.submit_id || plan.orders.len() != ledger.len() {
        return Err(unreadable(&"its plan is of another submission"));
    }
    let success = |(order, status): (EarlierOrder, &Status)| {
        let did_succeed = *status == Status::Ended(Outcome::Succeeded);
        // Releases before 0.6 wrote none: then nothing can be known as unchanged.
        let digest = order.digest.filter(|_| did_succeed)?;
        // One that counted as succeeded there ran in the run before, or in the one before that.
        Some((order.name, Success { digest, ran_in: order.reused_from.unwrap_or_else(|| run.clone()) }))
    };
    Ok(plan.orders.into_iter().zip(ledger.statuses()).filter_map(success).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{clock::Timestamp, run_item::NewRun};

    fn item(letters: &str, status: RunStatus) -> RunItem {
        let new = NewRun {
            run_id: &"second".parse().unwrap(),
            trace_id: &"0a1b2c3d".parse().unwrap(),
            flow_id: "me:0a1b2c3d-exec",
            orders: 1,
            deadline: Timestamp::from_secs(2),
            submit_id: "submission",
            digest_key: "key",
            job_digest: "digest",
            answer: "{}",
        };
        RunItem { orders: letters.to_owned(), status, ..RunItem::submitting(new, Timestamp::from_secs(1)) }
    }

    fn told(plan: &Value, letters: &str) -> Result<Vec<String>, String> {
        let found = successes(&item(letters, RunStatus::Completed), plan.to_string().as_bytes());
        let mut told: Vec<_> = found
            .map_err(|error| error.to_string())?
            .into_iter()
            .map(|(name, success)| format!("{name} {} in {}", success.digest, success.ran_in))
            .collect();
        told.sort();
        Ok(told)
    }

    #[test]
    fn what_succeeded_is_known_with_the_run_in_which_it_ran() {
        let orders = json!([
            {"name": "a", "digest": "1", "dependencies": []},
            {"name": "b", "digest": "2", "reused_from": "first"},
            {"name": "c", "digest": "3"},
            {"name": "d"},
        ]);
        let plan = json!({"schema_version": 1, "submit_id": "submission", "orders": orders});
        assert_eq!(told(&plan, "2sfs").unwrap(), ["a 1 in second", "b 2 in first"]);
        assert_eq!(told(&plan, "ftcs").unwrap(), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_says_so_and_what_to_do() {
        let plan = |orders: usize, version: u32, submit_id: &str| {
            let orders = vec![json!({"name": "a"}); orders];
            json!({"schema_version": version, "submit_id": submit_id, "orders": orders})
        };
        for (plan, problem) in [
            (plan(2, 1, "submission"), "is of another submission"),
            (plan(1, 1, "another"), "is of another submission"),
            (plan(1, 2, "submission"), "is of version 2, which this release does not know"),
            (json!({"schema_version": 2}), "is of version 2, which this release does not know"),
            (json!({"schema_version": 1, "orders": []}), "cannot be read: missing field `submit_id`"),
            (json!({"orders": []}), "cannot be read: missing field `schema_version`"),
        ] {
            let told = told(&plan, "s").unwrap_err();
            assert!(told.starts_with("rerun_of: ") && told.contains(problem), "{told}");
            assert!(told.ends_with("leave `rerun_of` out to run every order"), "{told}");
        }
    }

    #[test]
    fn only_a_run_that_is_over_is_taken() {
        let told = |item: RunItem| check(&item).map_err(|error| error.to_string());
        assert_eq!(told(item("s", RunStatus::Completed)), Ok(()));
        for (status, problem) in [
            (RunStatus::Submitting, "is still being submitted, nothing of it has run; leave"),
            (RunStatus::Idle, "has not ended; wait for its end, or cancel it"),
            (RunStatus::Active, "has not ended; wait for its end, or cancel it"),
        ] {
            assert!(told(item("s", status)).unwrap_err().contains(problem), "{status:?}");
        }
        let newer = RunItem { schema_version: SCHEMA_VERSION + 1, ..item("s", RunStatus::Completed) };
        assert!(told(newer).unwrap_err().contains("is of version 2"));
    }
}

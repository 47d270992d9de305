//! `aws-exe list`: recent runs, by what the table of events has of their beginnings and ends, the newest first.

use std::collections::{HashMap, HashSet};

use anstyle::Style;
use aws_sdk_dynamodb::types::AttributeValue;
use common::{
    aws::AwsError,
    clock::{Clock, Timestamp},
    env::Environment,
    ids::RunId,
    run_item::{RunItems, RunStatus},
    status::Outcome,
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde_json::json;

use crate::{
    args::{ListArgs, ListStatus},
    columns::{pad, width},
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::username,
    output::Output,
    state,
    terminal::{self, Line, Look, style_of_word},
    times::{duration, utc},
};

/// Runs that are looked at one by one at the same time.
const PARALLEL: usize = 16;

/// A run of the list.
#[derive(Clone, Debug, Serialize)]
struct Listed {
    run_id: String,
    flow_id: String,
    began_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// `running`, an outcome, or `unknown` where nothing says it any more.
    status: String,
}

/// Lists runs.
pub(crate) async fn list(args: ListArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let engine = Engine::connect(&args.engine, environment).await?;
    let runs = Box::pin(find(&engine, &args)).await?;
    output.finish(&json!({"runs": runs}), || terminal::text(&shown(&runs), Look::of_stdout()))?;
    if runs.is_empty() {
        output.note("no run was found")?;
    }
    Ok(Exit::Success)
}

async fn find(engine: &Engine, args: &ListArgs) -> Result<Vec<Listed>, Failure> {
    let table = &engine.names.order_events_table;
    let since = args.since.map(|age| {
        let now = Clock::REAL.now();
        Timestamp::from_millis(now.millis().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
    });
    let mut request = engine
        .aws
        .dynamodb()
        .query()
        .table_name(table)
        .index_name("order_name-epoch-index")
        .scan_index_forward(false)
        .expression_attribute_values(":job", AttributeValue::S("_job".to_owned()));
    request = match since {
        None => request.key_condition_expression("order_name = :job"),
        Some(since) => request
            .key_condition_expression("order_name = :job AND epoch >= :since")
            .expression_attribute_values(":since", AttributeValue::S(since.to_string())),
    };
    let mut events = request.into_paginator().items().send();
    // Newest first, so that the end of a run comes before its beginning.
    let mut ends: HashMap<String, (Timestamp, String)> = HashMap::new();
    let mut seen: HashSet<String> = HashSet::new();
    let mut runs = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| AwsError::of("read the events of runs", error))?;
        let text = |name: &str| event.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (Some(run_id), Some(kind), Some(epoch)) = (text("run_id"), text("event_type"), text("epoch")) else {
            continue;
        };
        let Ok(at) = epoch.parse::<Timestamp>() else { continue };
        match kind.as_str() {
            "job_completed" => {
                ends.entry(run_id).or_insert_with(|| (at, text("status").unwrap_or_default()));
            }
            "job_started" if seen.insert(run_id.clone()) => {
                let end = ends.remove(&run_id);
                let run = Listed {
                    flow_id: text("flow_id").unwrap_or_default(),
                    began_at: at,
                    ended_at: end.as_ref().map(|(at, _)| *at),
                    status: end.map_or_else(String::new, |(_, status)| status),
                    run_id,
                };
                if args.user.as_ref().is_none_or(|user| username(&run.flow_id) == user) {
                    runs.push(run);
                }
            }
            _ => {}
        }
        if runs.len() >= usize::from(args.limit) {
            let found = wanted(complete(engine, std::mem::take(&mut runs)).await?, args.status);
            runs = found;
            if runs.len() >= usize::from(args.limit) {
                break;
            }
        }
    }
    let mut runs = wanted(complete(engine, runs).await?, args.status);
    runs.truncate(usize::from(args.limit));
    Ok(runs)
}

/// Those that stand as was asked for.
fn wanted(mut runs: Vec<Listed>, status: Option<ListStatus>) -> Vec<Listed> {
    let wanted = match status {
        None => return runs,
        Some(ListStatus::Running) => "running",
        Some(ListStatus::Succeeded) => Outcome::Succeeded.as_str(),
        Some(ListStatus::Failed) => Outcome::Failed.as_str(),
        Some(ListStatus::TimedOut) => Outcome::TimedOut.as_str(),
        Some(ListStatus::Cancelled) => Outcome::Cancelled.as_str(),
    };
    runs.retain(|run| run.status == wanted);
    runs
}

/// Looks for how those stand whose end is no event yet: the events come through an index that may be late.
async fn complete(engine: &Engine, runs: Vec<Listed>) -> Result<Vec<Listed>, Failure> {
    let looked = futures::stream::iter(runs).map(|mut run| async {
        if run.status.is_empty() {
            run.status = stands(engine, &run.run_id).await?;
        }
        Ok::<_, Failure>(run)
    });
    looked.buffered(PARALLEL).try_collect().await
}

async fn stands(engine: &Engine, run_id: &str) -> Result<String, Failure> {
    const UNKNOWN: &str = "unknown";
    let Ok(run) = run_id.parse::<RunId>() else { return Ok(UNKNOWN.to_owned()) };
    let item = RunItems::new(&engine.aws, &engine.names.locks_table).get(&run).await?;
    Ok(match item.map(|item| item.status) {
        None => UNKNOWN.to_owned(),
        Some(RunStatus::Completed) => {
            state::done(engine, &run).await?.map_or_else(|| UNKNOWN.to_owned(), |done| done.status.to_string())
        }
        Some(_) => "running".to_owned(),
    })
}

fn shown(runs: &[Listed]) -> Vec<Line> {
    let widest = |of: fn(&Listed) -> &str| runs.iter().map(|run| width(of(run))).max().unwrap_or_default();
    let (ids, users) = (widest(|run| &run.run_id), widest(|run| username(&run.flow_id)));
    let line = |run: &Listed| {
        let took = run.ended_at.map_or_else(String::new, |end| duration(run.began_at.until(end).as_secs()));
        Line::plain(format!("{}  ", pad(&run.run_id, ids)))
            .piece(format!("{:<9}  ", run.status), style_of_word(&run.status))
            .dim(format!("{}  ", utc(run.began_at)))
            .piece(format!("{took:>7}  {}", pad(username(&run.flow_id), users)), Style::new())
    };
    runs.iter().map(line).collect()
}

//! `aws-exe status RUN`: how a run stands, order by order. With `-f` it is watched until it has ended.

use std::fmt::Write as _;

use common::{
    env::Environment,
    status::{Outcome, Status},
};
use serde_json::{Value, json};

use crate::{
    args::StatusArgs,
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::Run,
    output::Output,
    signs::sign,
    state::{Done, OrderState},
    times::utc,
    watch::{OnInterrupt, Watch},
};

/// Shows how a run stands.
pub(crate) async fn status(args: StatusArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let engine = Engine::connect(&args.engine, environment).await?;
    let run = Run::find(&engine, &args.run).await?;
    if args.follow {
        let mut watch = Watch::new(&engine, &run.id, output, OnInterrupt::StopWatching, false)?;
        return Box::pin(watch.until_the_end()).await;
    }
    let orders = run.orders().await?;
    let done = if run.is_completed() { run.done().await? } else { None };
    output.finish(&result(&run, &orders, done.as_ref()), || shown(&run, &orders, done.as_ref()))?;
    Ok(Exit::Success)
}

/// Where the run itself stands: how it ended, `submitting`, or `running`.
pub(crate) fn word(run: &Run<'_>, done: Option<&Done>) -> String {
    match done {
        Some(done) => done.status.to_string(),
        None if run.is_being_submitted() => "submitting".to_owned(),
        // Its outcome was stored for a day.
        None if run.is_completed() => "completed".to_owned(),
        None => "running".to_owned(),
    }
}

fn result(run: &Run<'_>, orders: &[OrderState], done: Option<&Done>) -> Value {
    json!({
        "run_id": run.id, "status": word(run, done), "username": run.username(), "flow_id": run.flow_id,
        "trace_id": run.trace_id, "summary": done.map(|done| &done.summary), "orders": orders,
    })
}

fn shown(run: &Run<'_>, orders: &[OrderState], done: Option<&Done>) -> String {
    let mut text = format!("run {}  {}\n", run.id, word(run, done));
    let submitted = orders.iter().filter_map(|order| order.created_at).min();
    let submitted = submitted.map_or_else(String::new, |at| format!("  submitted {}", utc(at)));
    push(&mut text, format_args!("by {}  flow {}{submitted}\n", run.username(), run.flow_id));
    let names = orders.iter().map(|order| order.order_name.len()).max().unwrap_or_default();
    for order in orders {
        push(&mut text, format_args!("{}\n", line(order, names).trim_end()));
    }
    push(&mut text, format_args!("{}\n", counts(orders)));
    text
}

fn line(order: &OrderState, names: usize) -> String {
    let time = order.elapsed().map_or_else(String::new, |seconds| format!("{seconds:.1} s"));
    let reused = order.reused_from.as_ref().map(|run| format!("in the run `{run}`"));
    let told = order.failure_reason.as_ref().or(reused.as_ref()).map(String::as_str).unwrap_or_default();
    format!(
        "{} {} {:<names$}  {:<9}  {:<9} {time:>10}  {told}",
        sign(order.status),
        order.order_num,
        order.order_name,
        order.execution_target.as_str(),
        order.status.as_str(),
    )
}

/// `3 orders: 2 succeeded, 1 failed`.
pub(crate) fn counts(orders: &[OrderState]) -> String {
    let all = [
        Status::Queued,
        Status::Running,
        Status::Ended(Outcome::Succeeded),
        Status::Ended(Outcome::Failed),
        Status::Ended(Outcome::TimedOut),
        Status::Ended(Outcome::Cancelled),
    ];
    let counted: Vec<String> = all
        .into_iter()
        .filter_map(|status| {
            let count = orders.iter().filter(|order| order.status == status).count();
            (count > 0).then(|| format!("{count} {}", status.as_str().replace('_', " ")))
        })
        .collect();
    let total = orders.len();
    format!("{total} {}: {}", if total == 1 { "order" } else { "orders" }, counted.join(", "))
}

/// Writing to a String cannot fail.
fn push(text: &mut String, part: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(part);
}

//! `aws-exe status RUN`: how a run stands, order by order. With `-f` it is watched until it has ended.

use anstyle::Style;
use common::{
    env::Environment,
    status::{Outcome, Status},
};
use serde_json::{Value, json};

use crate::{
    args::StatusArgs,
    columns::{pad, width},
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::Run,
    output::Output,
    signs::sign,
    state::{Done, OrderState},
    terminal::{self, Line, Look, style, style_of_word},
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
    output.finish(&result(&run, &orders, done.as_ref()), || {
        let look = Look::of_stdout();
        terminal::text(&shown(&run, &orders, done.as_ref(), look.is_narrow()), look)
    })?;
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

fn shown(run: &Run<'_>, orders: &[OrderState], done: Option<&Done>, is_narrow: bool) -> Vec<Line> {
    let word = word(run, done);
    let title = Line::default().piece(format!("run {}", run.id), Style::new().bold());
    let mut lines = vec![title.piece(format!("  {word}"), style_of_word(&word))];
    let submitted = orders.iter().filter_map(|order| order.created_at).min();
    let submitted = submitted.map_or_else(String::new, |at| format!("  submitted {}", utc(at)));
    lines.push(Line::default().dim(format!("by {}  flow {}{submitted}", run.username(), run.flow_id)));
    let names = orders.iter().map(|order| width(&order.order_name)).max().unwrap_or_default();
    lines.extend(orders.iter().map(|order| line(order, names, is_narrow)));
    lines.push(Line::plain(counts(orders)));
    lines
}

fn line(order: &OrderState, names: usize, is_narrow: bool) -> Line {
    let time = order.elapsed().map_or_else(String::new, |seconds| format!("{seconds:.1} s"));
    let reused = order.reused_from.as_ref().map(|run| format!("in the run `{run}`"));
    let told = order.failure_reason.as_ref().or(reused.as_ref()).map(String::as_str).unwrap_or_default();
    let own = style(order.status);
    let own = if order.reused_from.is_some() { own.dimmed() } else { own };
    let name = format!("{} {} {}", sign(order.status), order.order_num, pad(&order.order_name, names));
    let line = Line::default().piece(name, own);
    if is_narrow {
        return line.then(format!(" {time:>7}  {told}"));
    }
    line.dim(format!("  {:<9}  ", order.execution_target.as_str()))
        .piece(format!("{:<9}", order.status.as_str()), own)
        .then(format!(" {time:>10}  {told}"))
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

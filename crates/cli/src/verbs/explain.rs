//! `aws-exe explain JOB`: what a job would do, order by order, and what it may cost. Nothing is sent. And `aws-exe explain
//! AES0105`: the page of an error's code.

use anstyle::Style;
use common::{
    env::Environment,
    order::{Job, Order, Source, SsmTargets},
    target::Target,
};
use serde_json::{Value, json};

use crate::{
    args::ExplainArgs,
    code::Code,
    exit::Exit,
    failure::Failure,
    output::Output,
    price,
    terminal::{self, Line, Look},
    times::duration,
    verbs::validate,
};

/// Names that a line lists one by one.
const NAMED: usize = 8;

/// Explains.
pub(crate) fn explain(args: &ExplainArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let code = args.job.job.as_deref().and_then(|path| path.to_str()).and_then(Code::from_text);
    if let Some(code) = code {
        let page = code.page();
        let result = json!({"code": code.as_str(), "title": code.title(), "page": page});
        output.finish(&result, || page.to_owned())?;
        return Ok(Exit::Success);
    }
    let (file, job) = validate::accepted(&args.job, environment)?;
    // Long lines are not cut: what an order will read or wait for is what this is asked for.
    let look = Look { width: None, ..Look::of_stdout() };
    output.finish(&result(&job, &file.document), || terminal::text(&shown(&job, &file.document), look))?;
    Ok(Exit::Success)
}

/// Why an order runs where it does.
fn why(order: &Order, document: &Value, index: usize) -> String {
    let asked = document["orders"][index]["execution_target"].as_str();
    match (asked, order.target) {
        (Some("auto"), Target::Lambda) => {
            format!("auto: timeout and `stop_grace` together, {} s, fit into 840 s", order.timeout + order.stop_grace)
        }
        (Some("auto"), _) => {
            format!("auto: timeout and `stop_grace` together, {} s, are above 840 s", order.timeout + order.stop_grace)
        }
        (Some(_), _) => "as it says".to_owned(),
        (None, Target::Ssm) => "by default, of `POST /ssm`".to_owned(),
        (None, _) => "by default".to_owned(),
    }
}

/// Where its code comes from.
fn source(order: &Order) -> Option<String> {
    let folder = order.folder.as_ref().map_or_else(String::new, |folder| format!(", folder `{folder}`"));
    match &order.source {
        Source::Git { repo, commit, .. } => {
            let commit =
                commit.as_deref().map_or_else(|| "the remote's HEAD".to_owned(), |commit| format!("`{commit}`"));
            Some(format!("git `{repo}` at {commit}{folder}"))
        }
        Source::S3 { bucket, key } => Some(format!("`s3://{bucket}/{key}`")),
        Source::None => None,
    }
}

fn result(job: &Job, document: &Value) -> Value {
    let name = |index: &u16| job.orders[usize::from(*index)].name.as_str();
    let orders: Vec<Value> = job
        .orders
        .iter()
        .enumerate()
        .map(|(index, order)| {
            json!({
                "order_num": common::ids::OrderNum::of_index(index),
                "order_name": order.name,
                "execution_target": order.target,
                "why": why(order, document, index),
                "waits_for": order.dependencies.iter().map(name).collect::<Vec<_>>(),
                "must_succeed": order.must_succeed,
                "source": source(order),
                "cmds": order.cmds.len(),
                "env_vars": order.env_vars.keys().collect::<Vec<_>>(),
                "ssm_paths": order.ssm_paths,
                "secret_manager_paths": order.secret_manager_paths,
                "timeout": order.timeout,
                "start_timeout": order.start_timeout,
                "stop_grace": order.stop_grace,
                "usd_at_most": price::of_target(order.target, order.timeout, order.stop_grace),
            })
        })
        .collect();
    json!({
        "username": job.username, "flow_label": job.flow_label, "job_timeout": job.job_timeout,
        "max_parallel": job.max_parallel, "orders": orders, "usd_at_most": total(job),
    })
}

/// What the whole job may cost, in USD.
fn total(job: &Job) -> f64 {
    let orders: f64 = job
        .orders
        .iter()
        // No order runs longer than the job.
        .map(|order| {
            price::of_target(order.target, order.timeout.min(job.job_timeout), order.stop_grace) + price::of_engine()
        })
        .sum();
    orders + price::of_tick(job.job_timeout)
}

fn shown(job: &Job, document: &Value) -> Vec<Line> {
    let count = job.orders.len();
    let orders = if count == 1 { "order" } else { "orders" };
    let parallel = job.max_parallel.map_or_else(
        || "as many at once as the stack allows for each target".to_owned(),
        |most| format!("at most {most} at once"),
    );
    let mut lines = vec![
        Line::plain(format!("{count} {orders} for {}, {parallel}", job.username)),
        Line::plain(format!("the whole job has {}, then what has not ended is timed out", duration(job.job_timeout))),
    ];
    for (index, order) in job.orders.iter().enumerate() {
        lines.push(Line::default());
        lines.push(Line::default().piece(format!("{:04} {}", index + 1, order.name), Style::new().bold()));
        let said = about(job, order, &why(order, document, index));
        lines.extend(said.into_iter().map(|(what, said)| Line::default().dim(format!("  {what:<9} ")).then(said)));
    }
    lines.push(Line::default());
    lines.push(Line::plain(format!(
        "at most {} if every order takes all its time: list prices of us-east-1, default machines",
        price::shown(total(job))
    )));
    lines
}

/// What there is to say of an order, each with what it is about.
fn about(job: &Job, order: &Order, why: &str) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut say = |what: &'static str, said: &str| lines.push((what, said.to_owned()));
    say("target", &format!("{} ({why})", order.target.as_str()));
    if let Some(ssm) = &order.ssm {
        let on = match &ssm.targets {
            SsmTargets::InstanceIds(ids) => some(ids.iter().map(ToString::to_string)),
            SsmTargets::Tags(tags) => some(tags.iter().map(|(key, values)| format!("{key} = {}", values.join(" or ")))),
        };
        say("instances", &on);
    }
    if order.dependencies.is_empty() {
        say("waits for", "nothing");
    } else {
        let names = order.dependencies.iter().map(|index| job.orders[usize::from(*index)].name.to_string());
        say("waits for", &some(names));
    }
    if !order.must_succeed {
        say("tolerated", "it runs also when what it waits for failed, and its failure does not fail the job");
    }
    say("code", &source(order).unwrap_or_else(|| "none: commands alone".to_owned()));
    let commands = order.cmds.len();
    say("runs", &format!("{commands} {}", if commands == 1 { "command" } else { "commands, until one fails" }));
    if !order.env_vars.is_empty() {
        say("variables", &some(order.env_vars.keys().cloned()));
    }
    if !order.ssm_paths.is_empty() {
        say("reads", &format!("parameters {}", some(order.ssm_paths.iter().cloned())));
    }
    if !order.secret_manager_paths.is_empty() {
        say("reads", &format!("secrets {}", some(order.secret_manager_paths.iter().cloned())));
    }
    say(
        "limits",
        &format!(
            "{} for its commands, {} to start, {} to stop",
            duration(order.timeout),
            duration(order.start_timeout),
            duration(order.stop_grace)
        ),
    );
    let usd = price::of_target(order.target, order.timeout.min(job.job_timeout), order.stop_grace);
    say("at most", &price::shown(usd));
    lines
}

/// Some names, the rest counted.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let rest = names.len().saturating_sub(NAMED);
    let shown: Vec<String> = names.take(NAMED).collect();
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!("{}{more}", shown.join(", "))
}

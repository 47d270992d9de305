//! `aws-exe graph JOB|RUN`: the orders of a job, or of a run as they stand, each below what it waits for; as text, or for
//! Graphviz, Mermaid, or as a picture.

use std::{collections::HashMap, path::Path};

use common::{env::Environment, ids::OrderNum, order::Job};
use serde_json::json;

use crate::{
    args::{GraphArgs, JobArgs},
    drawing::{self, Drawing, Node},
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::Run,
    output::Output,
    state::OrderState,
    terminal::Look,
    verbs::validate,
};

/// Draws.
pub(crate) async fn graph(args: GraphArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let drawing = if let Some(run) = args.subject.as_deref().filter(|subject| !is_job(subject)) {
        let engine = Engine::connect(&args.engine, environment).await?;
        let run = Run::find(&engine, &run.to_string_lossy()).await?;
        let orders = run.orders().await?;
        of_run(run.id.as_str(), &orders)
    } else {
        let asked = JobArgs { job: args.subject.clone(), vars: args.vars.clone(), ssm: args.ssm };
        let (_, job) = validate::accepted(&asked, environment)?;
        let title = args.subject.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        of_job(&title.unwrap_or_else(|| job.username.clone()), &job)
    };
    let (form, text) = if args.dot {
        ("dot", drawing::dot::draw(&drawing))
    } else if args.mermaid {
        let chart = drawing::mermaid::draw(&drawing);
        if let Some(refusal) = drawing::mermaid::refusal(&drawing, &chart) {
            output.note(&refusal)?;
        }
        ("mermaid", chart)
    } else if args.svg {
        ("svg", drawing::svg::draw(&drawing))
    } else {
        let collapsed = if args.all { drawing } else { drawing.collapsed() };
        ("text", drawing::text::draw(&collapsed, Look::of_stdout()))
    };
    output.finish(&json!({"form": form, "drawing": text}), || text.clone())?;
    Ok(Exit::Success)
}

/// A file that is there, or whose name a run cannot have, or standard input.
fn is_job(subject: &Path) -> bool {
    subject == Path::new("-") || subject.exists() || subject.to_string_lossy().contains('/')
}

fn of_job(title: &str, job: &Job) -> Drawing {
    let node = |(index, order): (usize, &common::order::Order)| Node {
        dependencies: order.dependencies.iter().map(|index| usize::from(*index)).collect(),
        must_succeed: order.must_succeed,
        ..Node::new(OrderNum::of_index(index), order.name.as_str(), order.target)
    };
    Drawing { title: title.to_owned(), nodes: job.orders.iter().enumerate().map(node).collect() }
}

fn of_run(title: &str, orders: &[OrderState]) -> Drawing {
    let index: HashMap<&str, usize> =
        orders.iter().enumerate().map(|(index, order)| (order.order_name.as_str(), index)).collect();
    let node = |order: &OrderState| Node {
        // A row that is not there yet, as rows come through an index, is not drawn.
        dependencies: order.dependencies.iter().filter_map(|name| index.get(name.as_str()).copied()).collect(),
        must_succeed: order.must_succeed,
        status: Some(order.status),
        note: note(order),
        reused: order.reused_from.is_some(),
        ..Node::new(order.order_num, order.order_name.as_str(), order.execution_target)
    };
    Drawing { title: title.to_owned(), nodes: orders.iter().map(node).collect() }
}

fn note(order: &OrderState) -> Option<String> {
    let reused = || order.reused_from.as_ref().map(|run| format!("in the run `{run}`"));
    let took = || order.elapsed().map(|seconds| format!("{seconds:.1} s"));
    order.failure_reason.clone().or_else(reused).or_else(took)
}

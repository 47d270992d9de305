//! `aws-exe events RUN [ORDER]`: what happened to a run and its orders, and what their commands reported, in order of
//! time.

use anstyle::Style;
use aws_sdk_dynamodb::types::AttributeValue;
use common::{aws::AwsError, clock::Timestamp, env::Environment, text::sentence};
use serde_json::{Map, Value, json};

use crate::{
    args::EventsArgs,
    code::Code,
    columns::{pad, width},
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::Run,
    output::{Event, Output},
    terminal::{self, Line, Look, style_of_word},
    times::{time_of_day, utc},
};

/// Characters of a message or of data that a line shows; `--json` has all of it.
const SHOWN: usize = 200;

/// Shows events.
pub(crate) async fn events(args: EventsArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let engine = Engine::connect(&args.engine, environment).await?;
    let run = Run::find(&engine, &args.run).await?;
    let only = match &args.order {
        Some(text) => Some(run.find_order(text).await?.order_name),
        None => None,
    };
    let events = read(&engine, &run, only.as_deref()).await?;
    for event in &events {
        output.event(&Event::Happened { event })?;
    }
    output.finish(&json!({"run_id": run.id, "events": events.len()}), || {
        let look = Look::of_stdout();
        terminal::text(&shown(&events, look.is_narrow()), look)
    })?;
    if events.is_empty() {
        output.note("nothing has happened yet")?;
    }
    Ok(Exit::Success)
}

/// The events of a run, or of one order, in order of time.
pub(crate) async fn read(engine: &Engine, run: &Run<'_>, only: Option<&str>) -> Result<Vec<Value>, Failure> {
    let request = engine
        .aws
        .dynamodb()
        .query()
        .table_name(&engine.names.order_events_table)
        .key_condition_expression("trace_id = :trace")
        .expression_attribute_values(":trace", AttributeValue::S(run.trace_id.to_string()));
    let mut items = request.into_paginator().items().send();
    let mut events = Vec::new();
    while let Some(item) = items.next().await {
        let item = item.map_err(|error| AwsError::of("read the events of the run", error))?;
        let mut event: Map<String, Value> = serde_dynamo::from_item(item)
            .map_err(|error| Failure::new(Code::AwsFailed, format!("failed to read an event: {error}")))?;
        let is = |field: &str, wanted: &str| event.get(field).and_then(Value::as_str) == Some(wanted);
        // A trace may be shared by several runs.
        if is("run_id", run.id.as_str()) && only.is_none_or(|name| is("order_name", name)) {
            event.remove("ttl");
            events.push(event);
        }
    }
    // The table has them by order.
    events.sort_by_cached_key(|event| event.get("epoch").and_then(Value::as_str).map(str::to_owned));
    Ok(events.into_iter().map(Value::from).collect())
}

fn shown(events: &[Value], is_narrow: bool) -> Vec<Line> {
    let field =
        |event: &Value, name: &str| sentence(event.get(name).and_then(Value::as_str).unwrap_or_default(), SHOWN);
    let widest = |name: &str| events.iter().map(|event| width(&field(event, name))).max().unwrap_or_default();
    let (names, kinds) = (widest("order_name").min(40), widest("event_type").min(40));
    let line = |event: &Value| {
        let epoch = field(event, "epoch");
        let time = epoch.parse::<Timestamp>().map_or(epoch, if is_narrow { time_of_day } else { utc });
        let told = match (event.get("message").and_then(Value::as_str), event.get("data"), event.get("summary")) {
            (Some(message), ..) => message.to_owned(),
            (None, Some(data), _) | (None, None, Some(data)) => data.to_string(),
            (None, None, None) => String::new(),
        };
        let status = field(event, "status");
        let own = style_of_word(&status);
        let status = if is_narrow { String::new() } else { format!("{status:<9}  ") };
        Line::default()
            .dim(format!("{time}  "))
            .piece(format!("{}  ", pad(&field(event, "order_name"), names)), Style::new())
            .piece(format!("{}  {status}", pad(&field(event, "event_type"), kinds)), own)
            .then(sentence(&told, SHOWN))
    };
    events.iter().map(line).collect()
}

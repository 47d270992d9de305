//! Reads the evidence of a run from a stack. Only reads, and of each thing the copy that is consistent: rows by their key
//! and not by an index, which may be late.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{error::DisplayErrorContext, types::AttributeValue};
use aws_sdk_s3::operation::get_object::GetObjectError;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Number, Value};

use crate::{
    evidence::{Evidence, Names, Stored},
    letters,
    starts::Start,
};

/// Reads at once.
const PARALLEL: usize = 16;

/// What could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {what}: {why}")]
pub struct GatherError {
    /// The table's item or the object.
    pub what: String,
    /// What the service said.
    pub why: String,
}

impl Evidence {
    /// Reads everything that is stored of a run. `starts` is the whole start log; lines of other runs are left out.
    pub async fn gather(
        s3: &aws_sdk_s3::Client,
        dynamodb: &aws_sdk_dynamodb::Client,
        names: &Names,
        run_id: &str,
        starts: &[Start],
    ) -> Result<Self, GatherError> {
        let tables = Tables { dynamodb, names };
        let buckets = Buckets { s3 };
        let item = tables.item(&names.locks, &format!("lock:{run_id}")).await?;
        let field = |name: &str| item.as_ref().and_then(|item| item[name].as_str());
        let orders = field("orders").and_then(|text| letters::read(text).ok()).map_or(0, |statuses| statuses.len());
        let rows = tables.rows(run_id, orders).await?;
        let events = match field("trace_id") {
            Some(trace_id) => tables.events(run_id, trace_id).await?,
            None => Vec::new(),
        };
        let mut objects = BTreeMap::new();
        for prefix in ["tmp/callbacks/runs", "tmp/claims", "tmp/exec", "logs"] {
            objects.extend(buckets.below(&names.internal, &format!("{prefix}/{run_id}/")).await?);
        }
        let done_key = format!("{run_id}/done");
        let done = buckets.below(&names.done, &done_key).await?;
        Ok(Self {
            run_id: run_id.to_owned(),
            names: names.clone(),
            item,
            rows,
            events,
            objects,
            done: done.into_iter().find_map(|(key, stored)| (key == done_key).then_some(stored)),
            starts: starts.iter().filter(|start| start.run_id == run_id).cloned().collect(),
        })
    }
}

struct Tables<'a> {
    dynamodb: &'a aws_sdk_dynamodb::Client,
    names: &'a Names,
}

impl Tables<'_> {
    async fn item(&self, table: &str, pk: &str) -> Result<Option<Value>, GatherError> {
        let request = self.dynamodb.get_item().table_name(table).key("pk", AttributeValue::S(pk.to_owned()));
        let answer = request.consistent_read(true).send().await.map_err(|error| failed(pk, &error))?;
        Ok(answer.item.map(object))
    }

    /// The rows of so many orders by their keys, and what the index has besides.
    async fn rows(&self, run_id: &str, orders: usize) -> Result<BTreeMap<String, Value>, GatherError> {
        let index = Some("run_id-order_num-index");
        let indexed = self.query(&self.names.orders, index, "run_id", run_id).await?;
        let number = |row: Value| (row["order_num"].as_str().unwrap_or_default().to_owned(), row);
        let mut rows: BTreeMap<String, Value> = indexed.into_iter().map(number).collect();
        let keyed = stream::iter((1..=orders).map(|number| format!("{number:04}")))
            .map(|number| async move {
                let row = self.item(&self.names.orders, &format!("{run_id}:{number}")).await?;
                Ok::<_, GatherError>(row.map(|row| (number, row)))
            })
            .buffered(PARALLEL)
            .try_collect::<Vec<_>>();
        rows.extend(keyed.await?.into_iter().flatten());
        Ok(rows)
    }

    async fn events(&self, run_id: &str, trace_id: &str) -> Result<Vec<Value>, GatherError> {
        let mut events = self.query(&self.names.events, None, "trace_id", trace_id).await?;
        events.retain(|event| event["run_id"] == run_id);
        events.sort_by_key(|event| event["epoch"].as_str().unwrap_or_default().to_owned());
        Ok(events)
    }

    async fn query(&self, table: &str, index: Option<&str>, key: &str, value: &str) -> Result<Vec<Value>, GatherError> {
        let request = self.dynamodb.query().table_name(table).set_index_name(index.map(str::to_owned));
        let request = request
            // An index has no consistent reads.
            .set_consistent_read(index.is_none().then_some(true))
            .key_condition_expression("#key = :value")
            .expression_attribute_names("#key", key)
            .expression_attribute_values(":value", AttributeValue::S(value.to_owned()));
        let mut pages = request.into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(&format!("`{table}` of `{value}`"), &error))?;
            items.extend(page.items.unwrap_or_default().into_iter().map(object));
        }
        Ok(items)
    }
}

struct Buckets<'a> {
    s3: &'a aws_sdk_s3::Client,
}

impl Buckets<'_> {
    /// The objects below a prefix; those with something to check in their content with it.
    async fn below(&self, bucket: &str, prefix: &str) -> Result<Vec<(String, Stored)>, GatherError> {
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(&format!("the objects below `{prefix}`"), &error))?;
            for object in page.contents.unwrap_or_default() {
                let written = object.last_modified.and_then(|time| time.to_millis().ok());
                let written_ms = written.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
                listed.push((object.key.unwrap_or_default(), Stored { written_ms, etag: object.e_tag, body: None }));
            }
        }
        let read = stream::iter(listed)
            .map(|(key, stored)| async move {
                let body = if is_read(&key) { self.json(bucket, &key).await? } else { None };
                Ok::<_, GatherError>((key, Stored { body, ..stored }))
            })
            .buffered(PARALLEL)
            .try_collect();
        read.await
    }

    /// The content as JSON, if it is there and is any.
    async fn json(&self, bucket: &str, key: &str) -> Result<Option<Value>, GatherError> {
        let answer = match self.s3.get_object().bucket(bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(failed(&format!("`{key}`"), &error)),
        };
        let body = answer.body.collect().await.map_err(|error| failed(&format!("`{key}`"), &error))?;
        Ok(serde_json::from_slice(&body.to_vec()).ok())
    }
}

/// Results, claims, requests, the plan, the pinned instances and `done`; not bundles, code, logs, and what an instance is
/// given, which holds secrets.
fn is_read(key: &str) -> bool {
    ["tmp/callbacks/", "tmp/claims/"].iter().any(|prefix| key.starts_with(prefix))
        || ["/plan.json", "/targets.json", "/done"].iter().any(|suffix| key.ends_with(suffix))
}

fn failed(what: &str, error: &(impl std::error::Error + 'static)) -> GatherError {
    GatherError { what: what.to_owned(), why: DisplayErrorContext(error).to_string() }
}

fn object(item: HashMap<String, AttributeValue>) -> Value {
    Value::Object(item.into_iter().map(|(name, value)| (name, json(value))).collect::<Map<_, _>>())
}

fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.into(),
        AttributeValue::N(digits) => digits.parse::<Number>().map_or_else(|_| digits.clone().into(), Value::Number),
        AttributeValue::Bool(is) => is.into(),
        AttributeValue::L(list) => list.into_iter().map(json).collect(),
        AttributeValue::M(map) => object(map),
        AttributeValue::Ss(texts) => texts.into(),
        // The engine writes no other kind; an unknown one is shown and agrees with nothing.
        AttributeValue::Null(_) => Value::Null,
        other => format!("{other:?}").into(),
    }
}

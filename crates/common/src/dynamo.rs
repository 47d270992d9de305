//! What all tables need: batched writes that put everything in the end, and foreign JSON as attribute values.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::aws::{Aws, AwsError, Class};

/// An item as DynamoDB takes it.
pub type Item = HashMap<String, AttributeValue>;

/// Items of one BatchWriteItem; the service takes no more.
const BATCH: usize = 25;
/// Batches under way at once.
const PARALLEL: usize = 4;
/// How often a batch's rest is sent again, with doubling pauses from 50 ms: about 13 s in all.
const ROUNDS: u32 = 8;
/// DynamoDB nests at most 32 levels, counted from the item; ours lie a little below the top.
const MAX_DEPTH: usize = 24;
/// DynamoDB's numbers have at most 38 digits and lie below 10^126.
const MAX_NUMBER: f64 = 9.9e125;

/// Puts all items. They have keys of their own, so doing it twice is harmless.
pub async fn put_all(aws: &Aws, table: &str, items: Vec<Item>) -> Result<(), AwsError> {
    let batches: Vec<Vec<Item>> = items.chunks(BATCH).map(<[Item]>::to_vec).collect();
    stream::iter(batches).map(|batch| put_batch(aws, table, batch)).buffer_unordered(PARALLEL).try_collect().await
}

async fn put_batch(aws: &Aws, table: &str, batch: Vec<Item>) -> Result<(), AwsError> {
    let action = || format!("write {} items to `{table}`", batch.len());
    let put = |item: &Item| {
        let put = PutRequest::builder().set_item(Some(item.clone())).build();
        put.map(|put| WriteRequest::builder().put_request(put).build())
    };
    let mut rest: Vec<WriteRequest> = batch
        .iter()
        .map(put)
        .collect::<Result<_, _>>()
        .map_err(|error| AwsError::refused(action(), error.to_string()))?;
    let mut pause = Duration::from_millis(50);
    for _ in 0..ROUNDS {
        let request = aws.dynamodb().batch_write_item().request_items(table, std::mem::take(&mut rest));
        let answer = request.send().await.map_err(|error| AwsError::of(action(), error))?;
        rest = answer.unprocessed_items.and_then(|mut tables| tables.remove(table)).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    let message = format!("{} of them were not processed in {ROUNDS} rounds", rest.len());
    Err(AwsError { action: action(), code: None, message, class: Class::Throttled })
}

/// A foreign JSON value as DynamoDB can hold it: numbers out of its range and values nested too deep become text, an
/// empty name becomes `_`.
pub fn attribute(value: &Value) -> AttributeValue {
    attribute_at(value, 0)
}

fn attribute_at(value: &Value, depth: usize) -> AttributeValue {
    match value {
        Value::Array(_) | Value::Object(_) if depth == MAX_DEPTH => AttributeValue::S(value.to_string()),
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => {
            let text = number.to_string();
            let fits = text.bytes().filter(u8::is_ascii_digit).count() <= 38
                && number.as_f64().is_some_and(|n| n == 0.0 || (n.abs() < MAX_NUMBER && n.abs() > 1e-128));
            if fits { AttributeValue::N(text) } else { AttributeValue::S(text) }
        }
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(items) => AttributeValue::L(items.iter().map(|item| attribute_at(item, depth + 1)).collect()),
        Value::Object(fields) => {
            let named = |(name, value): (&String, &Value)| {
                let name = if name.is_empty() { "_".to_owned() } else { name.clone() };
                (name, attribute_at(value, depth + 1))
            };
            AttributeValue::M(fields.iter().map(named).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn foreign_json_fits() {
        let big = attribute(&json!({"": 1, "huge": 1e300, "tiny": 1e-200, "n": 3, "t": "x"}));
        let map = big.as_m().unwrap();
        assert_eq!(map["_"], AttributeValue::N("1".to_owned()));
        assert!(map["huge"].is_s() && map["tiny"].is_s() && map["n"].is_n());
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!([deep]);
        }
        let mut levels = 0;
        let mut here = attribute(&deep);
        while let AttributeValue::L(mut items) = here {
            here = items.remove(0);
            levels += 1;
        }
        assert_eq!((levels, here.is_s()), (MAX_DEPTH, true));
    }
}

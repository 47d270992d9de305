//! DynamoDB: requests handed to dynoxide, which keeps its tables in a SQL database.

use std::path::Path;

use bytes::Bytes;
use common::stack::Stack;
use dynoxide::{Database, DynoxideError};
use http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    errors::{ApiError, ErrorCode, respond},
    server::Response,
    service::Service,
};

/// Largest request body, as on AWS.
pub(crate) const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The embedded DynamoDB. Cheap to clone.
#[derive(Clone)]
pub(crate) struct DynamoDb {
    database: Database,
    /// Whether answers say what they would cost.
    counts_units: bool,
}

/// Capacity units that a call took, beside its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Units(pub(crate) f64);

impl DynamoDb {
    /// Opens the file, or an empty database in memory.
    pub(crate) fn open(path: Option<&Path>, counts_units: bool) -> Result<Self, DynoxideError> {
        let database = match path {
            Some(path) => Database::new(&path.to_string_lossy())?,
            None => Database::memory()?,
        };
        Ok(Self { database, counts_units })
    }

    /// Makes those of the stack's tables that are not there.
    pub(crate) fn create_tables(&self, stack: &Stack) -> Result<(), DynoxideError> {
        let text = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
        let index = |name: &str, hash: &str, range: &str| {
            json!([{
                "IndexName": name,
                "KeySchema": [key(hash, "HASH"), key(range, "RANGE")],
                "Projection": {"ProjectionType": "ALL"},
            }])
        };
        let tables = [
            json!({
                "TableName": stack.orders_table(),
                "AttributeDefinitions": [text("pk"), text("run_id"), text("order_num")],
                "KeySchema": [key("pk", "HASH")],
                "GlobalSecondaryIndexes": index("run_id-order_num-index", "run_id", "order_num"),
            }),
            json!({
                "TableName": stack.order_events_table(),
                "AttributeDefinitions": [text("trace_id"), text("sk"), text("order_name"), text("epoch")],
                "KeySchema": [key("trace_id", "HASH"), key("sk", "RANGE")],
                "GlobalSecondaryIndexes": index("order_name-epoch-index", "order_name", "epoch"),
            }),
            json!({
                "TableName": stack.locks_table(),
                "AttributeDefinitions": [text("pk")],
                "KeySchema": [key("pk", "HASH")],
            }),
        ];
        for mut table in tables {
            table["BillingMode"] = "PAY_PER_REQUEST".into();
            let name = table["TableName"].clone();
            match self.dispatch("CreateTable", table.to_string().as_bytes()) {
                Ok(_) => {
                    let ttl = json!({
                        "TableName": name,
                        "TimeToLiveSpecification": {"Enabled": true, "AttributeName": "ttl"},
                    });
                    self.dispatch("UpdateTimeToLive", ttl.to_string().as_bytes())?;
                }
                Err(DynoxideError::ResourceInUseException(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Serves one call whose signature is good.
    pub(crate) async fn call(&self, operation: &str, body: Bytes) -> Response {
        let this = self.clone();
        let name = operation.to_owned();
        // SQLite blocks; a hop to another thread costs a few microseconds.
        let result = tokio::task::spawn_blocking(move || {
            if this.counts_units {
                this.dispatch_and_count(&name, &body)
            } else {
                this.dispatch(&name, &body).map(|answer| (answer, None))
            }
        });
        match result.await {
            Ok(Ok((body, units))) => {
                let mut response = respond(StatusCode::OK, "application/x-amz-json-1.0", body);
                if let Some(units) = units {
                    response.extensions_mut().insert(Units(units));
                }
                response
            }
            Ok(Err(DynoxideError::UnsupportedCapability(_))) => {
                ApiError::unknown_operation(Service::DynamoDb, operation).respond(Service::DynamoDb)
            }
            Ok(Err(error)) => failed(&error),
            Err(error) => ApiError::internal(Service::DynamoDb, error.to_string()).respond(Service::DynamoDb),
        }
    }

    /// Serves one call only in part, as DynamoDB may: of a `BatchWriteItem` the first half is written and the rest named
    /// unprocessed; a query of an index finds nothing yet.
    pub(crate) async fn call_partly(&self, operation: &str, request: &Value) -> Response {
        if operation != "BatchWriteItem" {
            let nothing = json!({"Items": [], "Count": 0, "ScannedCount": 0});
            return respond(StatusCode::OK, "application/x-amz-json-1.0", nothing.to_string());
        }
        let (mut written, mut left) = (Map::new(), Map::new());
        for (table, writes) in request["RequestItems"].as_object().into_iter().flatten() {
            let writes = writes.as_array().map(Vec::as_slice).unwrap_or_default();
            let (first, rest) = writes.split_at(writes.len() / 2);
            for (part, writes) in [(&mut written, first), (&mut left, rest)] {
                if !writes.is_empty() {
                    part.insert(table.clone(), writes.into());
                }
            }
        }
        if !written.is_empty() {
            let response = self.call(operation, json!({"RequestItems": written}).to_string().into()).await;
            if !response.status().is_success() {
                return response;
            }
        }
        respond(StatusCode::OK, "application/x-amz-json-1.0", json!({"UnprocessedItems": left}).to_string())
    }

    /// Lets every live lease of a run item run out.
    pub(crate) fn expire_leases(&self) -> Result<(), DynoxideError> {
        let table = Stack::embedded().locks_table();
        let held = json!({"TableName": table, "FilterExpression": "attribute_exists(orchestrator_id)"});
        let held = self.dispatch("Scan", held.to_string().as_bytes())?;
        let held: Value =
            serde_json::from_slice(&held).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
        for item in held["Items"].as_array().into_iter().flatten() {
            let expire = json!({
                "TableName": table,
                "Key": {"pk": item["pk"]},
                "UpdateExpression": "SET lease_until = :past",
                "ConditionExpression": "orchestrator_id = :holder",
                "ExpressionAttributeValues": {":past": {"N": "1"}, ":holder": item["orchestrator_id"]},
            });
            match self.dispatch("UpdateItem", expire.to_string().as_bytes()) {
                // It was given back meanwhile.
                Ok(_) | Err(DynoxideError::ConditionalCheckFailedException(..)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// As [`Self::dispatch`], with the capacity units of all tables and indexes.
    fn dispatch_and_count(&self, operation: &str, body: &[u8]) -> Result<(Vec<u8>, Option<f64>), DynoxideError> {
        const ASKS: &str = "ReturnConsumedCapacity";
        let request = serde_json::from_slice::<Value>(body).ok().filter(|request| {
            // Whoever asks by themselves gets what they asked for.
            ["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "BatchWriteItem"].contains(&operation)
                && request.is_object()
                && request.get(ASKS).is_none()
        });
        let Some(mut request) = request else { return Ok((self.dispatch(operation, body)?, None)) };
        request[ASKS] = "TOTAL".into();
        let answer = self.dispatch(operation, request.to_string().as_bytes())?;
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(&answer) else { return Ok((answer, None)) };
        let consumed = fields.remove("ConsumedCapacity").unwrap_or_default();
        // Of a batch a list, table by table.
        let each = consumed.as_array().map_or(std::slice::from_ref(&consumed), Vec::as_slice);
        let units = each.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
        Ok((Value::Object(fields).to_string().into_bytes(), Some(units)))
    }

    fn dispatch(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
        let db = &self.database;
        match operation {
            "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
            "CreateTable" => run(body, |request| db.create_table(request)),
            "DeleteItem" => run(body, |request| db.delete_item(request)),
            "DeleteTable" => run(body, |request| db.delete_table(request)),
            "DescribeTable" => run(body, |request| db.describe_table(request)),
            "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
            "ExecuteStatement" => run(body, |request| db.execute_statement(request)),
            "GetItem" => run(body, |request| db.get_item(request)),
            "ListTables" => run(body, |request| db.list_tables(request)),
            "PutItem" => run(body, |request| db.put_item(request)),
            "Query" => run(body, |request| db.query(request)),
            "Scan" => run(body, |request| db.scan(request)),
            "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
            "UpdateItem" => run(body, |request| db.update_item(request)),
            "UpdateTable" => run(body, |request| db.update_table(request)),
            "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
            _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
        }
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<Vec<u8>, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| refused(&error))?;
    let answer = call(request)?;
    serde_json::to_vec(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// A request that cannot be read. dynoxide finds values that break a rule of DynamoDB while it reads them, and marks
/// these messages in front with the kind of error they are.
fn refused(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let marker = text.split(':').next().unwrap_or_default();
    let is_marker = marker.contains("VALIDATION") || marker.contains("SERIALIZATION");
    let message = if is_marker { text[marker.len() + 1..].trim() } else { text.as_str() };
    // serde_json says where; DynamoDB does not.
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned();
    let validation = ["missing field", "unknown variant", "invalid type: null", "AttributeValue"];
    if marker.contains("VALIDATION") || (!is_marker && validation.iter().any(|hint| message.contains(hint))) {
        DynoxideError::ValidationException(message)
    } else {
        DynoxideError::SerializationException(message)
    }
}

fn failed(error: &DynoxideError) -> Response {
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, "application/x-amz-json-1.0", error.to_json());
    let kind = error.error_type();
    let code = kind.rsplit('#').next().unwrap_or(kind);
    response.extensions_mut().insert(ErrorCode(code.to_owned()));
    response
}

/// `<table>/<key>` of a request, for records and fault scripts; the table alone for queries, batches and the like.
pub(crate) fn key_of(request: &Value) -> String {
    let batch = request.get("RequestItems").and_then(Value::as_object).and_then(|tables| tables.keys().next());
    let table = request.get("TableName").and_then(Value::as_str).or(batch.map(String::as_str)).unwrap_or_default();
    let item = request.get("Key").or_else(|| request.get("Item"));
    // The key attributes of the engine's tables, in the order of their schema.
    let values = ["pk", "trace_id", "sk"].iter().filter_map(|name| item?.get(name)?.get("S")?.as_str());
    let mut key = table.to_owned();
    for value in values {
        key.push('/');
        key.push_str(value);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_table_and_key() {
        let update = json!({"TableName": "locks", "Key": {"pk": {"S": "lock:r1"}}});
        assert_eq!(key_of(&update), "locks/lock:r1");
        let event = json!({"TableName": "events", "Item": {"sk": {"S": "a:1"}, "trace_id": {"S": "t"}}});
        assert_eq!(key_of(&event), "events/t/a:1");
        assert_eq!(key_of(&json!({"TableName": "t", "KeyConditionExpression": "x = :x"})), "t");
        assert_eq!(key_of(&json!({"RequestItems": {"t": []}})), "t");
    }
}

//! DynamoDB through the SDK: what the engine's protocol leans on.

use std::collections::HashMap;

use crate::support::{World, world};
use aws_sdk_dynamodb::types::{
    AttributeValue, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, TableStatus, WriteRequest,
};
use futures::future::join_all;

const LOCKS: &str = "exe-sys-locks";

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

async fn reserve(world: &World, pk: &str) {
    let put =
        world.dynamodb().put_item().table_name(LOCKS).item("pk", s(pk)).item("news", n(0)).item("status", s("idle"));
    put.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_conditional_updates_have_one_winner() {
    let world = world(|_| {}).await;
    reserve(&world, "lock:r").await;
    let race = (0..10).map(|owner| {
        let update = world.dynamodb().update_item().table_name(LOCKS).key("pk", s("lock:r"));
        let update = update
            .update_expression("ADD news :one SET orchestrator_id = :me, #s = :active")
            .condition_expression("#s = :idle AND attribute_not_exists(orchestrator_id)")
            .expression_attribute_names("#s", "status")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":me", s(&owner.to_string()))
            .expression_attribute_values(":active", s("active"))
            .expression_attribute_values(":idle", s("idle"))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        async move {
            update
                .send()
                .await
                .map(|done| done.attributes.unwrap())
                .map_err(aws_sdk_dynamodb::error::SdkError::into_service_error)
        }
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(race).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    let winner = won[0].as_ref().unwrap()["orchestrator_id"].clone();
    assert_eq!(won[0].as_ref().unwrap()["news"], n(1));
    for error in lost.into_iter().filter_map(Result::err) {
        let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(failed.item().unwrap()["orchestrator_id"], winner);
    }
}

#[tokio::test]
async fn limits_and_reserved_words_hold() {
    let world = world(|_| {}).await;
    let put = |size: usize| {
        world.dynamodb().put_item().table_name(LOCKS).item("pk", s("big")).item("blob", s(&"x".repeat(size)))
    };
    put(400 * 1024 - 20).send().await.unwrap();
    let refused = put(400 * 1024).send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("ValidationException"));
    assert!(refused.meta().message().unwrap().contains("Item size"), "{refused:?}");

    reserve(&world, "lock:r").await;
    let update = world.dynamodb().update_item().table_name(LOCKS).key("pk", s("lock:r"));
    let update = update.update_expression("SET status = :s").expression_attribute_values(":s", s("x"));
    let refused = update.send().await.unwrap_err().into_service_error();
    assert!(refused.meta().message().unwrap().contains("reserved keyword"), "{refused:?}");

    let grow = world.dynamodb().update_item().table_name(LOCKS).key("pk", s("big"));
    let grow = grow.update_expression("SET more = :m").expression_attribute_values(":m", s(&"y".repeat(1000)));
    let refused = grow.send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("ValidationException"), "an update may not grow an item over the limit");

    let request = |i: usize| {
        let put = PutRequest::builder().item("pk", s(&format!("b{i}"))).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let batch =
        |count: usize| world.dynamodb().batch_write_item().request_items(LOCKS, (0..count).map(request).collect());
    batch(25).send().await.unwrap();
    let refused = batch(26).send().await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("ValidationException"));
    let unknown = world.dynamodb().get_item().table_name("none").key("pk", s("a")).send().await.unwrap_err();
    assert!(unknown.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn the_tables_of_the_contract_are_there() {
    let world = world(|_| {}).await;
    for (table, index) in [
        ("exe-sys-orders", Some("run_id-order_num-index")),
        ("exe-sys-order-events", Some("order_name-epoch-index")),
        (LOCKS, None),
    ] {
        let described = world.dynamodb().describe_table().table_name(table).send().await.unwrap().table.unwrap();
        assert_eq!(described.table_status(), Some(&TableStatus::Active));
        assert_eq!(described.global_secondary_indexes().first().and_then(|index| index.index_name()), index);
        let ttl = world.dynamodb().describe_time_to_live().table_name(table).send().await.unwrap();
        assert_eq!(ttl.time_to_live_description().unwrap().attribute_name(), Some("ttl"));
    }
    for number in ["0002", "0001"] {
        let key = format!("r:{number}");
        let put = world.dynamodb().put_item().table_name("exe-sys-orders").item("pk", s(&key));
        put.item("run_id", s("r")).item("order_num", s(number)).send().await.unwrap();
    }
    let query = world.dynamodb().query().table_name("exe-sys-orders").index_name("run_id-order_num-index");
    let query = query.key_condition_expression("run_id = :r").expression_attribute_values(":r", s("r"));
    let rows: Vec<HashMap<_, _>> = query.send().await.unwrap().items.unwrap();
    assert_eq!(rows.iter().map(|row| row["pk"].as_s().unwrap().as_str()).collect::<Vec<_>>(), ["r:0001", "r:0002"]);
}

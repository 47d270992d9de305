//! S3 through the SDK: conditions, presigned URLs, listings, notifications, what survives.

use std::{collections::BTreeSet, time::Duration};

use crate::support::{INTERNAL, World, world};
use aws_sdk_s3::{
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier},
};
use futures::future::join_all;
use serde_json::Value;

async fn put(world: &World, key: &str, body: &str) {
    world.s3().put_object().bucket(INTERNAL).key(key).body(body.to_owned().into_bytes().into()).send().await.unwrap();
}

async fn get(world: &World, key: &str) -> String {
    let object = world.s3().get_object().bucket(INTERNAL).key(key).send().await.unwrap();
    String::from_utf8(object.body.collect().await.unwrap().to_vec()).unwrap()
}

fn expiring(seconds: u64) -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_conditional_puts_one_wins() {
    let world = world(|_| {}).await;
    for round in 0..30 {
        let key = format!("tmp/claims/r/{round}.json");
        let race = (0..8).map(|writer| {
            let put = world.s3().put_object().bucket(INTERNAL).key(&key).if_none_match("*");
            async move {
                let sent = put.body(format!("writer {writer}").into_bytes().into()).send().await;
                sent.map(|_| writer).map_err(|error| error.raw_response().unwrap().status().as_u16())
            }
        });
        let results = join_all(race).await;
        let winners: Vec<_> = results.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|status| *status == 412));
        assert_eq!(get(&world, &key).await, format!("writer {}", winners[0]));
    }
    world.aws.shutdown().await.unwrap();
}

#[tokio::test]
async fn if_match_replaces_only_what_was_read() {
    let world = world(|_| {}).await;
    put(&world, "a", "one").await;
    let etag = world.s3().head_object().bucket(INTERNAL).key("a").send().await.unwrap().e_tag.unwrap();
    let replace = |etag: String| {
        world.s3().put_object().bucket(INTERNAL).key("a").if_match(etag).body(ByteStream::from_static(b"two"))
    };
    replace(etag.clone()).send().await.unwrap();
    let stale = replace(etag).send().await.unwrap_err();
    assert_eq!(stale.raw_response().unwrap().status().as_u16(), 412);
    assert_eq!(stale.into_service_error().meta().code(), Some("PreconditionFailed"));
}

/// The path with another signature of the same length.
fn flipped(path: &str) -> String {
    let (before, signature) = path.split_once("X-Amz-Signature=").unwrap();
    let other = if signature.starts_with('0') { '1' } else { '0' };
    format!("{before}X-Amz-Signature={other}{}", &signature[1..])
}

#[tokio::test]
async fn a_presigned_put_works_once() {
    let world = world(|_| {}).await;
    let sign = |seconds| {
        let put =
            world.s3().put_object().bucket(INTERNAL).key("tmp/callbacks/runs/r/0001/result.json").if_none_match("*");
        async move { put.presigned(expiring(seconds)).await.unwrap() }
    };
    let url = sign(600).await;
    assert!(url.headers().any(|(name, value)| name == "if-none-match" && value == "*"), "the condition is signed");
    assert_eq!(world.presigned(&url, b"{}").await.0, 200);
    let (status, body) = world.presigned(&url, b"{}").await;
    assert_eq!(status, 412, "{body}");

    // Without the header that was signed, for another key, or with another signature.
    let path = url.uri().strip_prefix(&world.aws.endpoint()).unwrap().to_owned();
    assert_eq!(world.raw("PUT", &path, &[], b"{}").await.0, 403);
    let condition = [("if-none-match", "*")];
    assert_eq!(world.raw("PUT", &path.replace("/0001/", "/0002/"), &condition, b"{}").await.0, 403);
    let (status, body) = world.raw("PUT", &flipped(&path), &condition, b"{}").await;
    assert_eq!((status, body.contains("SignatureDoesNotMatch")), (403, true), "{body}");

    let short = sign(1).await;
    let (status, body) = crate::support::eventually(|| async {
        let answer = world.presigned(&short, b"{}").await;
        (answer.0 == 403).then_some(answer)
    })
    .await;
    assert!(status == 403 && body.contains("expired"), "{body}");
}

#[tokio::test]
async fn objects_come_back_as_they_were_put() {
    let world = world(|_| {}).await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let key = format!("deep/{}/é ü+%", "x".repeat(900));
    let put = world.s3().put_object().bucket(INTERNAL).key(&key).content_type("text/x").metadata("who", "me");
    put.body(large.clone().into()).send().await.unwrap();
    let object = world.s3().get_object().bucket(INTERNAL).key(&key).send().await.unwrap();
    assert_eq!((object.content_type(), object.metadata().unwrap()["who"].as_str()), (Some("text/x"), "me"));
    assert_eq!(object.body.collect().await.unwrap().to_vec(), large);
    let part = world.s3().get_object().bucket(INTERNAL).key(&key).range("bytes=10-19").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 10-19/3000000"));
    assert_eq!(part.body.collect().await.unwrap().to_vec(), large[10..20]);

    let missing = world.s3().get_object().bucket(INTERNAL).key("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_no_such_key());
    let long = world.s3().get_object().bucket(INTERNAL).key("k".repeat(1025)).send().await.unwrap_err();
    assert_eq!(long.into_service_error().meta().code(), Some("KeyTooLongError"));
    // A key and another below it are two objects.
    put_both(&world).await;
}

async fn put_both(world: &World) {
    put(world, "both", "above").await;
    put(world, "both/below", "below").await;
    assert_eq!((get(world, "both").await.as_str(), get(world, "both/below").await.as_str()), ("above", "below"));
}

#[tokio::test]
async fn a_body_that_was_changed_on_the_way_leaves_nothing() {
    let world = world(|_| {}).await;
    let put = world.s3().put_object().bucket(INTERNAL).key("a").content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    let refused = put.body(ByteStream::from_static(b"other")).send().await.unwrap_err();
    assert_eq!(refused.into_service_error().meta().code(), Some("BadDigest"));
    assert!(
        world
            .s3()
            .head_object()
            .bucket(INTERNAL)
            .key("a")
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_not_found()
    );
}

#[tokio::test]
async fn listings_are_sorted_paged_and_grouped() {
    let world = world(|_| {}).await;
    let keys: Vec<String> = (0..25).map(|i| format!("run/{:02}/result.json", i % 13 + i)).collect();
    let expected: BTreeSet<String> = keys.iter().cloned().collect();
    join_all(keys.iter().map(|key| put(&world, key, "x"))).await;
    put(&world, "rum", "x").await;
    let list = world.s3().list_objects_v2().bucket(INTERNAL).prefix("run/").max_keys(4);
    let mut pages = list.into_paginator().send();
    let mut seen = Vec::new();
    while let Some(page) = pages.next().await {
        seen.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
    let grouped = world.s3().list_objects_v2().bucket(INTERNAL).delimiter("/").send().await.unwrap();
    assert_eq!(grouped.contents()[0].key(), Some("rum"));
    assert_eq!(grouped.common_prefixes()[0].prefix(), Some("run/"));

    let ids = seen.iter().map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.collect())).build().unwrap();
    world.s3().delete_objects().bucket(INTERNAL).delete(delete).send().await.unwrap();
    let left = world.s3().list_objects_v2().bucket(INTERNAL).send().await.unwrap();
    assert_eq!(left.key_count(), Some(1));
}

#[tokio::test]
async fn large_objects_go_up_in_parts() {
    let world = world(|_| {}).await;
    let s3 = world.s3();
    let upload = s3.create_multipart_upload().bucket(INTERNAL).key("large").content_type("x/y").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let bodies = [vec![1_u8; 5 * 1024 * 1024], vec![2_u8; 10]];
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(&bodies) {
        let part = s3.upload_part().bucket(INTERNAL).key("large").upload_id(id).part_number(number);
        let sent = part.body(body.clone().into()).send().await.unwrap();
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
    }
    let complete = s3.complete_multipart_upload().bucket(INTERNAL).key("large").upload_id(id);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let done = complete.multipart_upload(parts).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    let object = s3.get_object().bucket(INTERNAL).key("large").send().await.unwrap();
    assert_eq!(object.content_type(), Some("x/y"));
    assert_eq!(object.body.collect().await.unwrap().to_vec(), bodies.concat());
}

#[tokio::test]
async fn results_invoke_the_orchestrator() {
    let world = world(|_| {}).await;
    let key = "tmp/callbacks/runs/r 1/0001/result.json";
    put(&world, "tmp/callbacks/runs/r/0001/other.json", "{}").await;
    put(&world, "tmp/exec/r/result.json", "{}").await;
    put(&world, key, "{\"status\":\"succeeded\"}").await;
    let source = format!("{INTERNAL}/tmp/exec/r/result.json");
    let copy =
        world.s3().copy_object().bucket(INTERNAL).key("tmp/callbacks/runs/r/0002/result.json").copy_source(source);
    copy.send().await.unwrap();
    let events = world.until_probed(2, |_| true).await;
    assert!(events.iter().all(|event| event["function"] == "orchestrator"));
    let record = |name: &str| {
        let records = events.iter().map(|event| event["event"]["Records"][0].clone());
        records.into_iter().find(|record| record["eventName"] == name).unwrap_or(Value::Null)
    };
    let by_put = record("ObjectCreated:Put");
    assert_eq!(by_put["s3"]["object"]["key"], "tmp/callbacks/runs/r+1/0001/result.json");
    assert_eq!(by_put["s3"]["bucket"]["arn"], "arn:aws:s3:::exe-sys-internal");
    assert_eq!(by_put["s3"]["object"]["size"], 22);
    assert_eq!(record("ObjectCreated:Copy")["s3"]["object"]["key"], "tmp/callbacks/runs/r/0002/result.json");
    assert_eq!(world.probed().len(), 2);
    world.aws.shutdown().await.unwrap();
}

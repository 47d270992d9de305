//! A run as an outsider sees it: what was answered, and what stands in DynamoDB and S3.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use checker::{Evidence, Names};
use serde_json::{Value, json};

use super::{
    job::Job,
    stack::{DONE, EVENTS, INTERNAL, LOCKS, ORDERS, Stack},
    start_log::StartLog,
    wait,
};

/// An accepted job.
pub(crate) struct Run<'s> {
    pub(crate) stack: &'s Stack,
    pub(crate) id: String,
    /// The answer to its submission.
    pub(crate) answer: Value,
    /// The orders' names, in order of number.
    pub(crate) names: Vec<String>,
    /// The job as it was submitted.
    pub(crate) job: Value,
}

impl Stack {
    /// Submits a job under a run id of its own.
    pub(crate) async fn submit(&self, job: &Job) -> Run<'_> {
        self.submit_as(&common::ids::fresh_nonce(), job).await
    }

    /// Submits a job under this run id. If that takes longer than API Gateway waits, it goes on all the same, and is asked
    /// again until it is over, as any client has to.
    pub(crate) async fn submit_as(&self, run_id: &str, job: &Job) -> Run<'_> {
        let request = json!({"job": job.document(), "run_id": run_id});
        let mut answer = self.post("/init", &request).await;
        if answer.status == 503 {
            let what = format!("the submission of `{run_id}` to end");
            answer = wait::until(&what, async || {
                Some(self.post("/init", &request).await).filter(|answer| ![409, 503].contains(&answer.status))
            })
            .await;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.run(answer.json(), job)
    }

    /// The run of an answer to this job.
    pub(crate) fn run(&self, answer: Value, job: &Job) -> Run<'_> {
        assert_eq!(answer["status"], "ok", "{answer}");
        Run {
            stack: self,
            id: answer["run_id"].as_str().unwrap().to_owned(),
            names: job.names(),
            job: job.document(),
            answer,
        }
    }

    /// An object, if there is one.
    pub(crate) async fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let answer = match self.aws.s3().get_object().bucket(bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return None,
            Err(error) => panic!("failed to read `{key}`: {error:?}"),
        };
        Some(answer.body.collect().await.unwrap().to_vec())
    }

    /// Writes an object.
    pub(crate) async fn put_object(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        self.aws.s3().put_object().bucket(bucket).key(key).body(body.into().into()).send().await.unwrap();
    }

    /// The parameter's value, if there is one.
    pub(crate) async fn parameter(&self, name: &str) -> Option<String> {
        match self.aws.ssm().get_parameter().name(name).with_decryption(true).send().await {
            Ok(answer) => answer.parameter.and_then(|parameter| parameter.value),
            Err(error) if error.as_service_error().is_some_and(GetParameterError::is_parameter_not_found) => None,
            Err(error) => panic!("failed to read `{name}`: {error:?}"),
        }
    }
}

/// An item as JSON.
pub(crate) fn as_json(item: HashMap<String, AttributeValue>) -> Value {
    serde_dynamo::from_item(item).unwrap()
}

impl Run<'_> {
    pub(crate) fn trace_id(&self) -> &str {
        self.answer["trace_id"].as_str().unwrap()
    }

    /// Number of the order with this name, `0001` and so on.
    pub(crate) fn number(&self, name: &str) -> String {
        let index =
            self.names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no order is called `{name}`"));
        format!("{:04}", index + 1)
    }

    /// The run item.
    pub(crate) async fn item(&self) -> Option<Value> {
        let request = self
            .stack
            .aws
            .dynamodb()
            .get_item()
            .table_name(LOCKS)
            .key("pk", AttributeValue::S(format!("lock:{}", self.id)));
        request.consistent_read(true).send().await.unwrap().item.map(as_json)
    }

    /// `done`, if it is there.
    pub(crate) async fn done_now(&self) -> Option<Value> {
        let body = self.stack.object(DONE, &format!("{}/done", self.id)).await?;
        Some(serde_json::from_slice(&body).unwrap())
    }

    /// Waits until the run is completed; gives `done`.
    pub(crate) async fn done(&self) -> Value {
        self.until("`done` and a completed run item", async || {
            let done = self.done_now().await?;
            (self.item().await?["status"] == "completed").then_some(done)
        })
        .await
    }

    /// Everything that is stored of the run, with what its commands wrote into the stack's start log.
    pub(crate) async fn evidence(&self) -> Evidence {
        let (aws, starts) = (&self.stack.aws, StartLog::of(self.stack).starts());
        Evidence::gather(aws.s3(), aws.dynamodb(), &Names::embedded(), &self.id, &starts).await.unwrap()
    }

    /// Waits for something of this run; in the end says how the run stands.
    pub(crate) async fn until<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        if let Some(answer) = wait::within_limit(ask).await {
            return answer;
        }
        let (item, rows, done) = (self.item().await, self.rows().await, self.done_now().await);
        panic!("run `{}`: waited in vain for {what}\nrun item: {item:#?}\nrows: {rows:#?}\ndone: {done:?}", self.id);
    }

    /// The rows, by number: every page of the index.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        self.query(ORDERS, Some("run_id-order_num-index"), "run_id", &self.id).await.0
    }

    /// The rows with the number of pages that the index gave them on.
    pub(crate) async fn rows_and_pages(&self) -> (Vec<Value>, usize) {
        self.query(ORDERS, Some("run_id-order_num-index"), "run_id", &self.id).await
    }

    /// The row of the order with this name.
    pub(crate) async fn row(&self, name: &str) -> Value {
        let key = format!("{}:{}", self.id, self.number(name));
        let request = self.stack.aws.dynamodb().get_item().table_name(ORDERS).key("pk", AttributeValue::S(key));
        request.send().await.unwrap().item.map_or_else(|| panic!("`{name}` has no row"), as_json)
    }

    /// All events of the run, in order of time.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let (mut events, _) = self.query(EVENTS, None, "trace_id", self.trace_id()).await;
        events.retain(|event| event["run_id"] == self.id.as_str());
        events.sort_by_key(|event| event["epoch"].as_str().unwrap().to_owned());
        events
    }

    /// The events of one order, in order of time.
    pub(crate) async fn events_of(&self, name: &str) -> Vec<Value> {
        let mut events = self.events().await;
        events.retain(|event| event["order_name"] == name);
        events
    }

    async fn query(&self, table: &str, index: Option<&str>, key: &str, value: &str) -> (Vec<Value>, usize) {
        let request = self.stack.aws.dynamodb().query().table_name(table).set_index_name(index.map(str::to_owned));
        let request = request
            .key_condition_expression("#key = :value")
            .expression_attribute_names("#key", key)
            .expression_attribute_values(":value", AttributeValue::S(value.to_owned()));
        let mut pages = request.into_paginator().send();
        let (mut items, mut count) = (Vec::new(), 0);
        while let Some(page) = pages.next().await {
            items.extend(page.unwrap().items.unwrap_or_default().into_iter().map(as_json));
            count += 1;
        }
        (items, count)
    }

    /// `result.json` of the order with this number.
    pub(crate) async fn result(&self, number: &str) -> Option<Value> {
        self.read(&format!("tmp/callbacks/runs/{}/{number}/result.json", self.id)).await
    }

    /// `result.json` of the order with this name, which must be there.
    pub(crate) async fn result_of(&self, name: &str) -> Value {
        self.result(&self.number(name)).await.unwrap_or_else(|| panic!("`{name}` has no result"))
    }

    /// Who claimed the order with this number.
    pub(crate) async fn claim(&self, number: &str) -> Option<Value> {
        self.read(&format!("tmp/claims/{}/{number}.json", self.id)).await
    }

    /// The whole log of the order with this name, if it was kept.
    pub(crate) async fn log(&self, name: &str) -> Option<Vec<u8>> {
        self.stack.object(INTERNAL, &format!("logs/{}/{}.log", self.id, self.number(name))).await
    }

    /// The request to cancel an order; number `0000` is the run.
    pub(crate) async fn cancel(&self, number: &str) {
        let key = format!("tmp/callbacks/runs/{}/_cancel/{number}/result.json", self.id);
        self.stack.put_object(INTERNAL, &key, "{}").await;
    }

    /// Wakes the orchestrator as the tick does.
    pub(crate) async fn wake(&self) {
        let key = format!("tmp/callbacks/runs/{}/0000/result.json", self.id);
        self.stack.put_object(INTERNAL, &key, r#"{"status":"init","log":""}"#).await;
    }

    /// Waits until the order's row has this status.
    pub(crate) async fn until_row(&self, name: &str, status: &str) {
        self.until(&format!("`{name}` to be {status}"), async || {
            (self.row(name).await["status"] == status).then_some(())
        })
        .await;
    }

    /// Waits until the order has an event of this type: the pass that started it writes its event after its row.
    pub(crate) async fn until_event(&self, name: &str, event_type: &str) {
        self.until(&format!("`{name}` to have an event `{event_type}`"), async || {
            self.events_of(name).await.iter().any(|event| event["event_type"] == event_type).then_some(())
        })
        .await;
    }

    async fn read(&self, key: &str) -> Option<Value> {
        Some(serde_json::from_slice(&self.stack.object(INTERNAL, key).await?).unwrap())
    }
}

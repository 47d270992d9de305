//! Every byte that leaves the engine, to look for what must not be there.

use super::{
    canary::PARAMETER,
    run::as_json,
    stack::{DONE, EVENTS, INTERNAL, LOCKS, ORDERS, Stack},
};

impl Stack {
    /// Everything that is stored or logged, as `(where, bytes)`: objects, items, inputs of executions, logs.
    pub(crate) async fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = vec![("function logs".to_owned(), self.function_logs().into_bytes())];
        all.push(("log of the embedded AWS".to_owned(), self.own_log().into_bytes()));
        for bucket in [INTERNAL, DONE] {
            for key in self.keys(bucket).await {
                if let Some(body) = self.object(bucket, &key).await {
                    all.push((format!("s3://{bucket}/{key}"), body));
                }
            }
        }
        for table in [ORDERS, EVENTS, LOCKS] {
            for item in self.items(table).await {
                all.push((format!("an item of {table}"), item.to_string().into_bytes()));
            }
        }
        for (name, input) in self.executions().await {
            all.push((format!("input of execution {name}"), input.into_bytes()));
        }
        all
    }

    /// All keys of a bucket.
    pub(crate) async fn keys(&self, bucket: &str) -> Vec<String> {
        let mut pages = self.aws.s3().list_objects_v2().bucket(bucket).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        keys
    }

    /// All items of a table.
    pub(crate) async fn items(&self, table: &str) -> Vec<serde_json::Value> {
        let mut pages = self.aws.dynamodb().scan().table_name(table).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(as_json(item.unwrap()));
        }
        items
    }

    /// All executions of the watchdog with their input.
    pub(crate) async fn executions(&self) -> Vec<(String, String)> {
        let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:exe-sys-watchdog";
        let mut pages = self.aws.sfn().list_executions().state_machine_arn(machine).into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(execution) = pages.next().await {
            let execution = execution.unwrap();
            let told = self.aws.sfn().describe_execution().execution_arn(execution.execution_arn).send().await.unwrap();
            all.push((execution.name, told.input.unwrap_or_default()));
        }
        all
    }

    /// Names of all parameters but the one that every test has.
    pub(crate) async fn parameters(&self) -> Vec<String> {
        let answer = self.aws.ssm().get_parameters_by_path().path("/").recursive(true).send().await.unwrap();
        answer
            .parameters
            .unwrap_or_default()
            .into_iter()
            .filter_map(|parameter| parameter.name)
            .filter(|name| name != PARAMETER)
            .collect()
    }
}

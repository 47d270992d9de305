//! Submissions that are refused: what they are told, and that they leave nothing.

use serde_json::{Value, json};

use super::stack::{DONE, EVENTS, INTERNAL, LOCKS, ORDERS, Stack};

impl Stack {
    /// Submits a body that must be refused with a 400; gives its problems.
    pub(crate) async fn refused(&self, body: &Value) -> Vec<String> {
        let answer = self.post("/init", body).await;
        assert_eq!(answer.status, 400, "{body} was answered with {}", answer.text());
        let told = answer.json();
        assert_eq!((&told["status"], &told["error"]), (&json!("error"), &told["errors"][0]), "{told}");
        told["errors"].as_array().unwrap().iter().map(|problem| problem.as_str().unwrap().to_owned()).collect()
    }

    /// Submits a job that must be refused; gives its problems.
    pub(crate) async fn refused_job(&self, job: &Value) -> Vec<String> {
        self.refused(&json!({"job": job})).await
    }

    /// Nothing of any submission is here: no item, row, event, parameter, execution, nor an object but these.
    pub(crate) async fn assert_untouched(&self, own_objects: &[&str]) {
        for table in [LOCKS, ORDERS, EVENTS] {
            assert_eq!(self.items(table).await, [] as [Value; 0], "{table}");
        }
        assert_eq!(self.keys(INTERNAL).await, own_objects);
        assert_eq!(self.keys(DONE).await, [] as [&str; 0]);
        assert_eq!(self.executions().await, []);
        let own = self.parameters().await.into_iter().filter(|name| name.starts_with("/exe-sys/")).count();
        assert_eq!(own, 0, "keys are left");
    }
}

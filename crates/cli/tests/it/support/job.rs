//! Jobs in sentences: `job().order("a").cmds(["true"]).order("b").after(["a"])`.

use serde_json::{Value, json};

use super::canary;

/// A job document; setters of orders change the last one.
#[derive(Clone, Debug)]
pub(crate) struct Job(Value);

/// A job without orders.
pub(crate) fn job() -> Job {
    Job(json!({"username": "tester", "orders": []}))
}

impl Job {
    /// The document.
    pub(crate) fn document(&self) -> Value {
        self.0.clone()
    }

    /// The orders' names, in order of number.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |(index, order): (usize, &Value)| {
            order["order_name"].as_str().map_or_else(|| format!("order-{:04}", index + 1), str::to_owned)
        };
        self.0["orders"].as_array().unwrap().iter().enumerate().map(name).collect()
    }

    /// A field of the job.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// One more order: on Lambda, with a timeout that no test reaches, and a command that succeeds and shows its secrets.
    pub(crate) fn order(mut self, name: &str) -> Self {
        let order = json!({
            "order_name": name,
            "execution_target": "lambda",
            "timeout": 600,
            "ssm_paths": [canary::PARAMETER],
            "cmds": ["echo \"$CANARY$CANARY_LINES\""],
        });
        self.0["orders"].as_array_mut().unwrap().push(order);
        self
    }

    /// A field of the order.
    pub(crate) fn its(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["orders"].as_array_mut().unwrap().last_mut().unwrap()[field] = value.into();
        self
    }

    /// It does not say where it runs.
    pub(crate) fn anywhere(mut self) -> Self {
        let last = self.0["orders"].as_array_mut().unwrap().last_mut().unwrap();
        last.as_object_mut().unwrap().remove("execution_target");
        self
    }

    /// Where it runs; an SSM order on the one instance that is there by default.
    pub(crate) fn on(self, target: &str) -> Self {
        let order = self.its("execution_target", target);
        if target == "ssm" { order.on_instances(["i-local"]) } else { order }
    }

    /// It runs on these instances.
    pub(crate) fn on_instances<I: Into<String>>(self, ids: impl IntoIterator<Item = I>) -> Self {
        let ids: Vec<String> = ids.into_iter().map(I::into).collect();
        self.its("execution_target", "ssm").its("ssm_targets", json!({"instance_ids": ids}))
    }

    /// It runs on the instances with this tag.
    pub(crate) fn on_tagged(self, key: &str, value: &str) -> Self {
        self.its("execution_target", "ssm").its("ssm_targets", json!({"tags": {key: value}}))
    }

    /// Its commands.
    pub(crate) fn cmds<C: Into<String>>(self, cmds: impl IntoIterator<Item = C>) -> Self {
        self.its("cmds", cmds.into_iter().map(C::into).collect::<Vec<String>>())
    }

    /// What it waits for.
    pub(crate) fn after<'n>(self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.its("dependencies", names.into_iter().collect::<Vec<_>>())
    }

    /// Its failure is tolerated.
    pub(crate) fn tolerated(self) -> Self {
        self.its("must_succeed", false)
    }

    /// Seconds for its commands.
    pub(crate) fn timeout(self, seconds: u64) -> Self {
        self.its("timeout", seconds)
    }

    /// Seconds between SIGINT and SIGKILL.
    pub(crate) fn stop_grace(self, seconds: u64) -> Self {
        self.its("stop_grace", seconds)
    }
}

//! `DescribeInstanceInformation`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    dates,
    errors::ApiError,
    ssm::{
        Answer,
        request::{number, objects, optional, optional_list, page, text},
        run_command::{RunCommand, instances::Instance},
    },
};

/// The agent's version: one that sets `SSM_COMMAND_ID`.
const AGENT: &str = "3.3.3050.0";

impl RunCommand {
    /// `DescribeInstanceInformation`, in the order of the ids.
    pub(super) fn describe_instances(&self, request: &Value) -> Answer {
        // The older form of filters has other names for the same.
        let (filters, old) = (objects(request, "Filters"), objects(request, "InstanceInformationFilterList"));
        let filters = filters.iter().map(|filter| (filter, "Key", "Values"));
        let filters: Vec<_> = filters.chain(old.iter().map(|filter| (filter, "key", "valueSet"))).collect();
        let mut found: Vec<Arc<Instance>> = self.instances.all().cloned().collect();
        let mut of_tags = Vec::new();
        for (filter, key, values) in filters {
            let (key, values) = (text(filter, key)?, optional_list(filter, values).unwrap_or_default());
            if !(1..=100).contains(&values.len()) {
                let message = "A filter has 1 to 100 values.";
                return Err(ApiError::client("InvalidInstanceInformationFilterValue", message));
            }
            of_tags.push(key.starts_with("tag"));
            retain(&mut found, key, &values)?;
        }
        if of_tags.contains(&true) && of_tags.contains(&false) {
            let message = "Tag filters can't be combined with other filter types.";
            return Err(ApiError::client("InvalidFilterKey", message));
        }
        let size = usize::try_from(number(request, "MaxResults", 5, 50, 10)?).unwrap_or(50);
        let (found, next) = page(found, size, optional(request, "NextToken"), |instance| instance.id.to_string())?;
        let now = dates::epoch_seconds(self.timeline.now());
        let opened = dates::epoch_seconds(self.opened);
        let found: Vec<Value> = found.iter().map(|instance| describe(instance, now, opened)).collect();
        let mut answer = json!({"InstanceInformationList": found});
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(answer)
    }
}

fn retain(found: &mut Vec<Arc<Instance>>, key: &str, values: &[&str]) -> Result<(), ApiError> {
    match (key, key.strip_prefix("tag:")) {
        (_, Some(tag)) => found.retain(|instance| instance.is_tagged(tag, values)),
        ("tag-key", _) => found.retain(|instance| values.iter().any(|tag| instance.tags.contains_key(*tag))),
        ("InstanceIds", _) => found.retain(|instance| values.contains(&instance.id.as_str())),
        ("PingStatus", _) => found.retain(|instance| values.contains(&ping_status(instance))),
        ("PlatformTypes", _) => found.retain(|_| values.contains(&platform())),
        ("ResourceType", _) => found.retain(|instance| values.contains(&resource_type(instance))),
        _ => {
            return Err(ApiError::client("InvalidFilterKey", format!("The specified filter key {key} is not valid.")));
        }
    }
    Ok(())
}

fn describe(instance: &Instance, now: f64, opened: f64) -> Value {
    let mut described = json!({
        "InstanceId": instance.id.as_str(),
        "PingStatus": ping_status(instance),
        // Who is offline has not been heard of since the embedded AWS began.
        "LastPingDateTime": if instance.online { now } else { opened },
        "AgentVersion": AGENT,
        "IsLatestVersion": true,
        "PlatformType": platform(),
        "PlatformName": "Embedded AWS",
        "PlatformVersion": env!("CARGO_PKG_VERSION"),
        "ResourceType": resource_type(instance),
        "IPAddress": "127.0.0.1",
        "ComputerName": instance.id.as_str(),
    });
    if instance.is_hybrid() {
        described["Name"] = instance.tags.get("Name").cloned().unwrap_or_default().into();
        described["RegistrationDate"] = opened.into();
    }
    described
}

fn ping_status(instance: &Instance) -> &'static str {
    if instance.online { "Online" } else { "ConnectionLost" }
}

fn resource_type(instance: &Instance) -> &'static str {
    if instance.is_hybrid() { "ManagedInstance" } else { "EC2Instance" }
}

/// What all instances run on: this machine.
fn platform() -> &'static str {
    if cfg!(target_os = "macos") { "MacOS" } else { "Linux" }
}

//! The calls that roles make, as they were recorded, in the words of IAM: who did what to which resource.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ACCOUNT, REGION};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    /// The role, by the name of its resource.
    pub(super) role: &'static str,
    /// Such as `s3:GetObject`.
    pub(super) action: String,
    /// Its ARN; `*` where the action takes none.
    pub(super) resource: String,
}

/// Every call by a role that is in a record.
pub(super) fn calls(record: &[Value]) -> BTreeSet<Call> {
    record.iter().flat_map(calls_of).collect()
}

fn calls_of(recorded: &Value) -> Vec<Call> {
    let field = |name: &str| recorded[name].as_str().unwrap_or_default();
    // Whoever signed a URL is whom AWS asks what is allowed.
    let caller = recorded["signer"].as_str().unwrap_or_else(|| field("function"));
    let Some(role) = role_of(caller) else { return Vec::new() };
    let (service, operation) = (field("service"), field("operation"));
    // Nobody needs leave to ask who they are; a delivery is no call.
    if service == "sts" || operation == "Deliver" {
        return Vec::new();
    }
    let action = match (service, operation) {
        ("s3", "HeadObject") => "s3:GetObject".to_owned(),
        ("s3", "ListObjectsV2") => "s3:ListBucket".to_owned(),
        ("lambda", "Invoke") => "lambda:InvokeFunction".to_owned(),
        _ => format!("{service}:{operation}"),
    };
    let call = |resource| Call { role, action: action.clone(), resource };
    resources(service, operation, field("key")).into_iter().map(call).collect()
}

fn role_of(caller: &str) -> Option<&'static str> {
    Some(match caller {
        "init_job" => "init_job",
        "ssm_config" => "ssm_config",
        "orchestrator" => "orchestrator",
        "watchdog_check" => "watchdog_check",
        "worker" => "worker",
        "codebuild" => "codebuild",
        "states" => "step_functions",
        "client" => return None,
        other => panic!("`{other}` has no role"),
    })
}

/// The resources that AWS looks at, from the key of a record.
fn resources(service: &str, operation: &str, key: &str) -> Vec<String> {
    let arn = |resource: String| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}");
    let parameter = |name: &str| arn(format!("parameter/{}", name.trim_start_matches('/')));
    let one = match (service, operation) {
        ("s3", _) => {
            let (bucket, object) = key.split_once('/').unwrap_or((key, ""));
            let deployed = match bucket {
                "exe-sys-internal" | "exe-sys-done" => format!("{bucket}-{ACCOUNT}-{REGION}"),
                other => other.to_owned(),
            };
            let slash = if object.is_empty() { "" } else { "/" };
            format!("arn:aws:s3:::{deployed}{slash}{object}")
        }
        ("dynamodb", _) => arn(format!("table/{}", key.split('/').next().unwrap_or_default())),
        ("ssm", "GetParameters") => return key.split(',').map(parameter).collect(),
        ("ssm", "GetParameter" | "PutParameter" | "DeleteParameter") => parameter(key),
        ("ssm", "DescribeDocument") => arn(format!("document/{key}")),
        ("ssm", "SendCommand") => {
            let instance = format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0");
            let managed = arn("managed-instance/mi-0123456789abcdef0".to_owned());
            return vec![arn(format!("document/{key}")), instance, managed];
        }
        ("ssm", _) => "*".to_owned(),
        ("secretsmanager", _) => arn(format!("secret:{key}-AbCdEf")),
        ("states", "StartExecution") => arn("stateMachine:exe-sys-watchdog".to_owned()),
        ("states", _) => {
            let execution = key.rsplit(':').next().unwrap_or_default();
            arn(format!("execution:exe-sys-watchdog:{execution}"))
        }
        ("lambda", _) => arn(format!("function:{key}")),
        ("codebuild", _) => arn(format!("project/{}", key.split(':').next().unwrap_or_default())),
        (service, operation) => panic!("what does `{service}:{operation}` look at?"),
    };
    vec![one]
}

//! Parameter Store.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::clock::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    arn, dates,
    errors::ApiError,
    files,
    service::Service,
    ssm::{
        Answer,
        request::{list, text, validation},
    },
};

/// Largest value of the standard tier in bytes.
const STANDARD_LIMIT: usize = 4 * 1024;
/// Largest value of the advanced tier in bytes.
const ADVANCED_LIMIT: usize = 8 * 1024;
/// Longest name in characters.
const NAME_LIMIT: usize = 2048;
/// Most levels of a name.
const LEVEL_LIMIT: usize = 15;

/// A parameter.
#[derive(Clone, Serialize, Deserialize)]
struct Parameter {
    #[serde(rename = "type")]
    kind: String,
    value: String,
    version: u64,
    tier: String,
    modified: Timestamp,
    description: Option<String>,
    /// When it vanishes, by its expiration policy.
    expires: Option<Timestamp>,
    /// The policies as they were put.
    policies: Option<String>,
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameter").field("kind", &self.kind).field("version", &self.version).finish_non_exhaustive()
    }
}

/// The embedded Parameter Store.
#[derive(Debug)]
pub(crate) struct Parameters {
    clock: Clock,
    file: Option<PathBuf>,
    by_name: Mutex<BTreeMap<String, Parameter>>,
}

impl Parameters {
    /// Opens what is in `file`.
    pub(crate) fn open(clock: Clock, file: Option<PathBuf>) -> io::Result<Self> {
        let parameters = match file.as_ref().map(fs::read) {
            Some(Ok(saved)) => serde_json::from_slice(&saved)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => BTreeMap::new(),
        };
        Ok(Self { clock, file, by_name: Mutex::new(parameters) })
    }

    /// Serves one call whose signature is good.
    pub(crate) fn call(&self, operation: &str, request: &Value) -> Answer {
        match operation {
            "PutParameter" => self.put(request),
            "GetParameter" => {
                let name = text(request, "Name")?;
                let parameter = self.live().get(name).map(|found| describe(name, found, decrypts(request)));
                Ok(json!({"Parameter": parameter.ok_or_else(|| not_found(name))?}))
            }
            "GetParameters" => {
                let names = list(request, "Names")?;
                if names.len() > 10 {
                    return Err(validation("Member must have length less than or equal to 10"));
                }
                let parameters = self.live();
                let (found, missing): (Vec<&str>, Vec<&str>) =
                    names.iter().partition(|name| parameters.contains_key(**name));
                let found: Vec<Value> =
                    found.iter().map(|name| describe(name, &parameters[*name], decrypts(request))).collect();
                Ok(json!({"Parameters": found, "InvalidParameters": missing}))
            }
            "GetParametersByPath" => self.get_by_path(request),
            "DeleteParameter" => {
                let name = text(request, "Name")?;
                let mut parameters = self.live();
                parameters.remove(name).ok_or_else(|| not_found(name))?;
                self.save(&parameters)?;
                Ok(json!({}))
            }
            "DeleteParameters" => {
                let mut parameters = self.live();
                let (deleted, missing): (Vec<&str>, Vec<&str>) =
                    list(request, "Names")?.into_iter().partition(|name| parameters.remove(*name).is_some());
                self.save(&parameters)?;
                Ok(json!({"DeletedParameters": deleted, "InvalidParameters": missing}))
            }
            "DescribeParameters" => {
                let parameters = self.live();
                let described: Vec<Value> = parameters.iter().map(|(name, found)| metadata(name, found)).collect();
                Ok(json!({"Parameters": described}))
            }
            _ => Err(ApiError::unknown_operation(Service::Ssm, operation)),
        }
    }

    fn put(&self, request: &Value) -> Answer {
        let (name, value) = (text(request, "Name")?, text(request, "Value")?);
        check_name(name)?;
        let given = |field: &str| request.get(field).and_then(Value::as_str);
        let mut parameters = self.live();
        let old = parameters.get(name);
        if old.is_some() && request.get("Overwrite").and_then(Value::as_bool) != Some(true) {
            let message = "The parameter already exists. To overwrite this value, set the overwrite option in the \
                           request to true.";
            return Err(ApiError::client("ParameterAlreadyExists", message));
        }
        let kind = given("Type").or(old.map(|old| old.kind.as_str())).unwrap_or("String");
        if !["String", "StringList", "SecureString"].contains(&kind) {
            return Err(validation("Member must satisfy enum value set: [SecureString, StringList, String]"));
        }
        if value.is_empty() {
            return Err(validation("Value must not be empty"));
        }
        let policies = given("Policies").filter(|policies| !policies.is_empty() && *policies != "[{}]");
        let tier = match given("Tier").or(old.map(|old| old.tier.as_str())).unwrap_or("Standard") {
            "Intelligent-Tiering" if policies.is_some() || value.len() > STANDARD_LIMIT => "Advanced",
            "Intelligent-Tiering" => "Standard",
            tier @ ("Standard" | "Advanced") => tier,
            _ => {
                return Err(validation(
                    "Member must satisfy enum value set: [Advanced, Intelligent-Tiering, Standard]",
                ));
            }
        };
        let limit = if tier == "Standard" { STANDARD_LIMIT } else { ADVANCED_LIMIT };
        if value.len() > limit {
            let message = format!("{tier} tier parameters support a maximum parameter value of {limit} characters.");
            return Err(validation(&message));
        }
        if tier == "Standard" && policies.is_some() {
            return Err(validation("Parameter policies require the Advanced tier."));
        }
        let parameter = Parameter {
            kind: kind.to_owned(),
            value: value.to_owned(),
            version: old.map_or(1, |old| old.version + 1),
            tier: tier.to_owned(),
            modified: self.clock.now(),
            description: given("Description").map(str::to_owned),
            expires: policies.map(expiration).transpose()?.flatten(),
            policies: policies.map(str::to_owned),
        };
        let answer = json!({"Version": parameter.version, "Tier": parameter.tier});
        parameters.insert(name.to_owned(), parameter);
        self.save(&parameters)?;
        Ok(answer)
    }

    fn get_by_path(&self, request: &Value) -> Answer {
        let path = text(request, "Path")?;
        if !path.starts_with('/') {
            return Err(validation("The parameter path must begin with a slash."));
        }
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let recursive = request.get("Recursive").and_then(Value::as_bool) == Some(true);
        let limit = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(10).clamp(1, 10);
        let after = request.get("NextToken").and_then(Value::as_str).unwrap_or_default();
        let parameters = self.live();
        let mut below = parameters
            .range::<str, _>((std::ops::Bound::Excluded(after.max(prefix.as_str())), std::ops::Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(&prefix))
            .filter(|(name, _)| recursive || !name[prefix.len()..].contains('/'))
            .peekable();
        let mut page = Vec::new();
        let mut last = String::new();
        while let Some((name, found)) = below.next_if(|_| u64::try_from(page.len()).is_ok_and(|length| length < limit))
        {
            page.push(describe(name, found, decrypts(request)));
            last.clone_from(name);
        }
        let mut answer = json!({"Parameters": page});
        if below.peek().is_some() {
            answer["NextToken"] = last.into();
        }
        Ok(answer)
    }

    /// The parameters that have not expired.
    fn live(&self) -> MutexGuard<'_, BTreeMap<String, Parameter>> {
        let mut parameters = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        parameters.retain(|_, parameter| parameter.expires.is_none_or(|expires| now < expires));
        parameters
    }

    fn save(&self, parameters: &BTreeMap<String, Parameter>) -> Result<(), ApiError> {
        let Some(file) = &self.file else { return Ok(()) };
        serde_json::to_vec(parameters)
            .map_err(io::Error::from)
            .and_then(|content| files::replace_now(file, &content))
            .map_err(|error| ApiError::internal(Service::Ssm, format!("the parameters could not be saved: {error}")))
    }
}

/// As `GetParameter` writes it.
fn describe(name: &str, parameter: &Parameter, decrypt: bool) -> Value {
    let sealed = parameter.kind == "SecureString" && !decrypt;
    json!({
        "Name": name,
        "Type": parameter.kind,
        "Value": if sealed { ciphertext(parameter) } else { parameter.value.clone() },
        "Version": parameter.version,
        "LastModifiedDate": dates::epoch_seconds(parameter.modified),
        "ARN": arn("ssm", &format!("parameter/{}", name.trim_start_matches('/'))),
        "DataType": "text",
    })
}

/// A text that tells nothing about the value, but changes with it.
fn ciphertext(parameter: &Parameter) -> String {
    let digest = Sha256::new().chain_update(parameter.value.as_bytes()).chain_update(parameter.version.to_be_bytes());
    // One digest more than the value can be found by trying would take; this is a stand-in, not encryption.
    STANDARD.encode(Sha256::digest(digest.finalize()))
}

fn metadata(name: &str, parameter: &Parameter) -> Value {
    let mut metadata = json!({
        "Name": name,
        "ARN": arn("ssm", &format!("parameter/{}", name.trim_start_matches('/'))),
        "Type": parameter.kind,
        "Version": parameter.version,
        "Tier": parameter.tier,
        "LastModifiedDate": dates::epoch_seconds(parameter.modified),
        "DataType": "text",
    });
    if let Some(description) = &parameter.description {
        metadata["Description"] = description.as_str().into();
    }
    if let Some(policies) = &parameter.policies {
        metadata["Policies"] = json!([{"PolicyText": policies, "PolicyType": "Expiration", "PolicyStatus": "Pending"}]);
    }
    metadata
}

/// When a parameter with these policies vanishes.
fn expiration(policies: &str) -> Result<Option<Timestamp>, ApiError> {
    let invalid = |why: &str| ApiError::client("InvalidPolicyTypeException", why.to_owned());
    let policies: Value = serde_json::from_str(policies).map_err(|_| invalid("The policies are not JSON."))?;
    let policies = policies.as_array().ok_or_else(|| invalid("The policies are not a list."))?;
    let mut expires = None;
    for policy in policies {
        match policy.get("Type").and_then(Value::as_str) {
            Some("Expiration") => {
                let at = policy.pointer("/Attributes/Timestamp").and_then(Value::as_str);
                let at = at.and_then(dates::parse_iso8601);
                let why = "The Expiration policy needs Attributes.Timestamp in ISO 8601.";
                expires = Some(at.ok_or_else(|| ApiError::client("InvalidPolicyAttributeException", why))?);
            }
            // These only raise events.
            Some("ExpirationNotification" | "NoChangeNotification") => {}
            _ => return Err(invalid("The policy type is not supported.")),
        }
    }
    Ok(expires)
}

/// Refuses names that Parameter Store refuses.
fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    if name.is_empty()
        || name.len() > NAME_LIMIT
        || !name.chars().all(allowed)
        || name.ends_with('/')
        || name.contains("//")
    {
        return Err(validation(
            "Parameter name must be a fully qualified name of letters, numbers and the symbols _.-/ only.",
        ));
    }
    let inner = name.trim_start_matches('/');
    if inner.contains('/') && !name.starts_with('/') {
        return Err(validation("Parameter name must be a fully qualified name: it must begin with a slash."));
    }
    if inner.split('/').count() > LEVEL_LIMIT {
        let message = "A hierarchy can have a maximum of 15 levels.";
        return Err(ApiError::client("HierarchyLevelLimitExceededException", message));
    }
    let lower = inner.to_ascii_lowercase();
    if lower.starts_with("aws") || lower.starts_with("ssm") {
        let message = "Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).";
        return Err(validation(message));
    }
    Ok(())
}

fn decrypts(request: &Value) -> bool {
    request.get("WithDecryption").and_then(Value::as_bool) == Some(true)
}

fn not_found(name: &str) -> ApiError {
    ApiError::client("ParameterNotFound", format!("Parameter {name} not found."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_parameter_store() {
        for good in ["a", "/exe-sys/sops-keys/r1", "/team/aws/key", "a.b_c-D"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let deep = "/a".repeat(16);
        for bad in ["", "aws-key", "/AWS/x", "/ssmthing", "ssm", "a b", "a/b", "/a//b", "/a/", "é", &deep] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}

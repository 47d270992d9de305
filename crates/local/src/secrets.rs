//! Secrets Manager: secrets with versions, of which one is current and one may be the previous.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use common::clock::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{arn, dates, errors::ApiError, files, ids, service::Service};

/// Largest value in bytes, as on AWS.
const VALUE_LIMIT: usize = 65_536;
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// A secret.
#[derive(Debug, Serialize, Deserialize)]
struct Secret {
    arn: String,
    description: Option<String>,
    created: Timestamp,
    changed: Timestamp,
    versions: BTreeMap<String, Version>,
    /// Version ids by stage.
    stages: BTreeMap<String, String>,
}

/// One value of a secret: a text, or base64 of bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    text: Option<String>,
    binary: Option<String>,
    created: Timestamp,
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version").field("created", &self.created).finish_non_exhaustive()
    }
}

/// The embedded Secrets Manager.
#[derive(Debug)]
pub(crate) struct Secrets {
    clock: Clock,
    file: Option<PathBuf>,
    by_name: Mutex<BTreeMap<String, Secret>>,
}

type Answer = Result<Value, ApiError>;
type Guard<'a> = MutexGuard<'a, BTreeMap<String, Secret>>;

impl Secrets {
    /// Opens what is in `file`.
    pub(crate) fn open(clock: Clock, file: Option<PathBuf>) -> io::Result<Self> {
        let secrets = match file.as_ref().map(fs::read) {
            Some(Ok(saved)) => serde_json::from_slice(&saved)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => BTreeMap::new(),
        };
        Ok(Self { clock, file, by_name: Mutex::new(secrets) })
    }

    /// Serves one call whose signature is good.
    pub(crate) fn call(&self, operation: &str, request: &Value) -> Answer {
        match operation {
            "CreateSecret" => self.create(request),
            "PutSecretValue" => self.put_value(request, true),
            "UpdateSecret" => self.put_value(request, false),
            "GetSecretValue" => self.get_value(request),
            "DescribeSecret" => {
                let secrets = self.lock();
                let name = find(&secrets, request)?;
                Ok(describe(&name, &secrets[&name], "VersionIdsToStages"))
            }
            "ListSecrets" => {
                let secrets = self.lock();
                let all: Vec<Value> =
                    secrets.iter().map(|(name, secret)| describe(name, secret, "SecretVersionsToStages")).collect();
                Ok(json!({"SecretList": all}))
            }
            "DeleteSecret" => {
                let mut secrets = self.lock();
                let name = find(&secrets, request)?;
                let arn = secrets.remove(&name).map(|secret| secret.arn);
                self.save(&secrets)?;
                Ok(json!({"ARN": arn, "Name": name, "DeletionDate": dates::epoch_seconds(self.clock.now())}))
            }
            _ => Err(ApiError::unknown_operation(Service::SecretsManager, operation)),
        }
    }

    fn create(&self, request: &Value) -> Answer {
        let name =
            text(request, "Name").ok_or_else(|| ApiError::client("ValidationException", "`Name` must not be null"))?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        if name.is_empty() || name.len() > 512 || !name.chars().all(allowed) {
            let message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the \
                           following: -/_+=.@!";
            return Err(ApiError::client("ValidationException", message));
        }
        let mut secrets = self.lock();
        if secrets.contains_key(name) {
            let message = format!("The operation failed because the secret {name} already exists.");
            return Err(ApiError::client("ResourceExistsException", message));
        }
        let now = self.clock.now();
        let mut secret = Secret {
            // AWS ends the ARN in six random characters.
            arn: arn("secretsmanager", &format!("secret:{name}-{}", &ids::token()[..6])),
            description: text(request, "Description").map(str::to_owned),
            created: now,
            changed: now,
            versions: BTreeMap::new(),
            stages: BTreeMap::new(),
        };
        let mut answer = json!({"ARN": secret.arn, "Name": name});
        if let Some(version) = version(request, now)? {
            let id = add(&mut secret, request, version)?;
            answer["VersionId"] = id.into();
        }
        secrets.insert(name.to_owned(), secret);
        self.save(&secrets)?;
        Ok(answer)
    }

    fn put_value(&self, request: &Value, needs_value: bool) -> Answer {
        let mut secrets = self.lock();
        let name = find(&secrets, request)?;
        let now = self.clock.now();
        let version = version(request, now)?;
        if needs_value && version.is_none() {
            return Err(ApiError::client(
                "InvalidRequestException",
                "You must provide either SecretString or SecretBinary.",
            ));
        }
        let Some(secret) = secrets.get_mut(&name) else { return Err(not_found()) };
        let mut answer = json!({"ARN": secret.arn, "Name": name});
        if let Some(description) = text(request, "Description") {
            secret.description = Some(description.to_owned());
        }
        if let Some(version) = version {
            let id = add(secret, request, version)?;
            answer["VersionStages"] = stages_of(secret, &id).into();
            answer["VersionId"] = id.into();
        }
        secret.changed = now;
        self.save(&secrets)?;
        Ok(answer)
    }

    fn get_value(&self, request: &Value) -> Answer {
        let secrets = self.lock();
        let name = find(&secrets, request)?;
        let secret = &secrets[&name];
        let stage = text(request, "VersionStage").unwrap_or(CURRENT);
        let id = text(request, "VersionId").or_else(|| secret.stages.get(stage).map(String::as_str));
        let found = id.and_then(|id| secret.versions.get_key_value(id));
        let (id, version) = found.ok_or_else(|| {
            let message = format!("Secrets Manager can't find the specified secret value for staging label: {stage}");
            ApiError::client("ResourceNotFoundException", message)
        })?;
        let mut answer = json!({
            "ARN": secret.arn,
            "Name": name,
            "VersionId": id,
            "VersionStages": stages_of(secret, id),
            "CreatedDate": dates::epoch_seconds(version.created),
        });
        if let Some(text) = &version.text {
            answer["SecretString"] = text.as_str().into();
        }
        if let Some(binary) = &version.binary {
            answer["SecretBinary"] = binary.as_str().into();
        }
        Ok(answer)
    }

    fn save(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), ApiError> {
        let Some(file) = &self.file else { return Ok(()) };
        serde_json::to_vec(secrets)
            .map_err(io::Error::from)
            .and_then(|content| files::replace_now(file, &content))
            .map_err(|error| {
                ApiError::internal(Service::SecretsManager, format!("the secrets could not be saved: {error}"))
            })
    }

    fn lock(&self) -> Guard<'_> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the secret that `SecretId` means: a name, an ARN, or an ARN without its random ending.
fn find(secrets: &BTreeMap<String, Secret>, request: &Value) -> Result<String, ApiError> {
    let id = text(request, "SecretId")
        .ok_or_else(|| ApiError::client("ValidationException", "`SecretId` must not be null"))?;
    if secrets.contains_key(id) {
        return Ok(id.to_owned());
    }
    let means =
        |secret: &Secret| secret.arn == id || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id);
    let found = secrets.iter().find(|(_, secret)| means(secret));
    found.map(|(name, _)| name.clone()).ok_or_else(not_found)
}

/// The value that a request brings, if any.
fn version(request: &Value, now: Timestamp) -> Result<Option<Version>, ApiError> {
    let given = |field: &str| text(request, field).map(str::to_owned);
    let version = Version { text: given("SecretString"), binary: given("SecretBinary"), created: now };
    match (&version.text, &version.binary) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(ApiError::client(
            "InvalidRequestException",
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )),
        (Some(value), _) | (_, Some(value)) if value.len() > VALUE_LIMIT => {
            Err(ApiError::client("ValidationException", format!("the value is over {VALUE_LIMIT} bytes")))
        }
        _ => Ok(Some(version)),
    }
}

/// Makes the version the current one, under the caller's token if it gives one.
fn add(secret: &mut Secret, request: &Value, version: Version) -> Result<String, ApiError> {
    let id = text(request, "ClientRequestToken").map_or_else(ids::request_id, str::to_owned);
    if let Some(known) = secret.versions.get(&id) {
        if (&known.text, &known.binary) == (&version.text, &version.binary) {
            return Ok(id);
        }
        let message = "You can't use ClientRequestToken with another value: a version with it already exists.";
        return Err(ApiError::client("ResourceExistsException", message));
    }
    if let Some(old) = secret.stages.insert(CURRENT.to_owned(), id.clone()) {
        secret.stages.insert(PREVIOUS.to_owned(), old);
    }
    secret.versions.insert(id.clone(), version);
    // Versions without a stage are deprecated, and AWS drops them in time.
    let stages = &secret.stages;
    secret.versions.retain(|id, _| stages.values().any(|staged| staged == id));
    Ok(id)
}

fn stages_of(secret: &Secret, id: &str) -> Vec<String> {
    secret.stages.iter().filter(|(_, staged)| *staged == id).map(|(stage, _)| stage.clone()).collect()
}

fn describe(name: &str, secret: &Secret, versions: &str) -> Value {
    let stages: Map<String, Value> =
        secret.versions.keys().map(|id| (id.clone(), stages_of(secret, id).into())).collect();
    json!({
        "ARN": secret.arn,
        "Name": name,
        "Description": secret.description,
        "CreatedDate": dates::epoch_seconds(secret.created),
        "LastChangedDate": dates::epoch_seconds(secret.changed),
        versions: stages,
    })
}

fn text<'r>(request: &'r Value, field: &str) -> Option<&'r str> {
    request.get(field).and_then(Value::as_str)
}

fn not_found() -> ApiError {
    ApiError::client("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

//! Credentials that orders name: fetched from Parameter Store and Secrets Manager, each once a submission, and turned
//! into variables.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_secretsmanager::error::SdkError;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    aws::{Aws, AwsError, Class},
    intake::validate::{is_engine_variable, is_variable_name},
    order::CredentialLocation,
    sops::Identity,
};

/// GetParameters takes at most ten names.
const NAMES: usize = 10;
/// Calls under way at once; Parameter Store allows 40 a second by default.
const PARALLEL: usize = 8;

/// The private half of a run's key.
pub async fn run_key(aws: &Aws, path: &str) -> Result<Identity, AwsError> {
    let action = "read the run's key";
    let request = aws.ssm().get_parameter().name(path).with_decryption(true);
    let answer = request.send().await.map_err(|error| AwsError::of(action, error))?;
    let value = answer.parameter.and_then(|parameter| parameter.value).map(SecretString::from);
    let value = value.ok_or_else(|| AwsError::refused(action, "it has no value"))?;
    Identity::parse(&value).map_err(|error| AwsError::refused(action, error.to_string()))
}

/// Values by where they are kept. `None`: there is no such parameter or secret, or it may not be read.
#[derive(Debug, Default)]
pub struct Fetched {
    parameters: BTreeMap<String, Result<SecretString, String>>,
    secrets: BTreeMap<String, Result<SecretString, String>>,
}

impl Fetched {
    /// Fetches everything that is named.
    pub async fn fetch(aws: &Aws, parameters: BTreeSet<&str>, secrets: BTreeSet<&str>) -> Result<Self, AwsError> {
        let names: Vec<Vec<String>> = parameters
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
            .chunks(NAMES)
            .map(<[_]>::to_vec)
            .collect();
        let parameters: Vec<_> = stream::iter(names)
            .map(|names| get_parameters(aws, names))
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let secrets = stream::iter(secrets)
            .map(|name| async move { get_secret(aws, name).await.map(|value| (name.to_owned(), value)) })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        Ok(Self { parameters: parameters.into_iter().flatten().collect(), secrets })
    }

    /// The value of a parameter, or what is wrong with it.
    pub fn parameter(&self, path: &str) -> Result<&SecretString, String> {
        self.parameters
            .get(path)
            .map_or_else(|| Err("was not fetched".to_owned()), |value| value.as_ref().map_err(Clone::clone))
    }

    /// The value of a secret, or what is wrong with it.
    pub fn secret(&self, name: &str) -> Result<&SecretString, String> {
        self.secrets
            .get(name)
            .map_or_else(|| Err("was not fetched".to_owned()), |value| value.as_ref().map_err(Clone::clone))
    }

    /// The value at a location of the intake's own.
    pub fn at(&self, location: &CredentialLocation) -> Result<&SecretString, String> {
        match location {
            CredentialLocation::Parameter(path) => self.parameter(path),
            CredentialLocation::Secret(name) => self.secret(name),
        }
    }
}

async fn get_parameters(
    aws: &Aws,
    names: Vec<String>,
) -> Result<BTreeMap<String, Result<SecretString, String>>, AwsError> {
    let request = aws.ssm().get_parameters().set_names(Some(names.clone())).with_decryption(true);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let error = AwsError::of("read parameters", error);
            return match error.class {
                // One name that Parameter Store does not take refuses all ten; say so of each.
                Class::Refused => Ok(names
                    .into_iter()
                    .map(|name| (name, Err(format!("cannot be read: {}", error.message))))
                    .collect()),
                _ => Err(error),
            };
        }
    };
    let mut values: BTreeMap<_, _> =
        names.into_iter().map(|name| (name, Err("is no parameter that this deployment can read".to_owned()))).collect();
    for parameter in answer.parameters.unwrap_or_default() {
        // A name may carry a version or label, which the answer gives apart.
        let name = format!("{}{}", parameter.name.unwrap_or_default(), parameter.selector.unwrap_or_default());
        if let (Some(slot), Some(value)) = (values.get_mut(&name), parameter.value) {
            *slot = Ok(SecretString::from(value));
        }
    }
    Ok(values)
}

async fn get_secret(aws: &Aws, name: &str) -> Result<Result<SecretString, String>, AwsError> {
    let answer = match aws.secrets().get_secret_value().secret_id(name).send().await {
        Ok(answer) => answer,
        Err(SdkError::ServiceError(error)) if error.err().is_resource_not_found_exception() => {
            return Ok(Err("is no secret that this deployment can read".to_owned()));
        }
        Err(error) => {
            let error = AwsError::of("read a secret", error);
            return if error.class == Class::Refused {
                Ok(Err(format!("cannot be read: {}", error.message)))
            } else {
                Err(error)
            };
        }
    };
    let binary = answer.secret_binary.map(|blob| String::from_utf8(blob.into_inner()));
    Ok(match (answer.secret_string, binary) {
        (Some(text), _) | (None, Some(Ok(text))) => Ok(SecretString::from(text)),
        (None, Some(Err(_))) => Err("is binary; only text can be a variable".to_owned()),
        (None, None) => Err("has no value".to_owned()),
    })
}

/// The variables that a credential gives: one a key if its value is a JSON object of strings (or base64 of one), else
/// one named after the last segment of its path.
pub fn variables(path: &str, value: &SecretString) -> Result<BTreeMap<String, SecretString>, String> {
    let text = value.expose_secret();
    if text.contains('\0') {
        return Err("has a NUL character, which no variable can hold".to_owned());
    }
    let decoded = || BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| object_of_strings(&bytes));
    let variables = match object_of_strings(text.as_bytes()).or_else(decoded) {
        Some(fields) => fields,
        None => BTreeMap::from([(variable_name(path), value.clone())]),
    };
    for name in variables.keys() {
        if !is_variable_name(name) {
            return Err(format!("gives `{}`, which is no variable's name", crate::text::shown(name)));
        }
        if is_engine_variable(name) {
            return Err(format!("gives `{name}`, which the engine sets itself"));
        }
    }
    Ok(variables)
}

fn object_of_strings(bytes: &[u8]) -> Option<BTreeMap<String, SecretString>> {
    let fields: BTreeMap<String, String> = serde_json::from_slice(bytes).ok()?;
    Some(fields.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect())
}

/// The last segment, upper case, with `_` for what a variable's name cannot have.
fn variable_name(path: &str) -> String {
    let last = path.rsplit(['/', ':']).next().unwrap_or(path);
    last.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(path: &str, value: &str) -> Result<Vec<(String, String)>, String> {
        let variables = variables(path, &SecretString::from(value))?;
        Ok(variables.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())).collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_credential_gives_one_variable_or_one_a_key() {
        assert_eq!(names_of("/prod/db-password", "hunter2").unwrap(), [pair("DB_PASSWORD", "hunter2")]);
        assert_eq!(names_of("plain", "x").unwrap(), [pair("PLAIN", "x")]);
        assert_eq!(names_of("/p", r#"{"A":"1","B":"2"}"#).unwrap(), [pair("A", "1"), pair("B", "2")]);
        assert_eq!(names_of("/p", "eyJBIjoiMSJ9").unwrap(), [pair("A", "1")]);
        assert_eq!(names_of("/p", r#"{"A":1}"#).unwrap(), [pair("P", r#"{"A":1}"#)]);
        assert_eq!(names_of("/p", "[]").unwrap(), [pair("P", "[]")]);
    }

    #[test]
    fn what_can_be_no_variable_is_refused() {
        assert!(names_of("/p", r#"{"a b":"1"}"#).unwrap_err().contains("`a b`"));
        assert!(names_of("/p", r#"{"CALLBACK_URL":"1"}"#).unwrap_err().contains("engine"));
        assert!(names_of("/p/1x", "v").unwrap_err().contains("`1X`"));
        assert!(names_of("/p", "a\0b").unwrap_err().contains("NUL"));
    }
}

//! Which S3 locations, parameters and secrets a job may name: those of the deployment that are not the engine's own, by
//! names as AWS has them.
//!
//! Pure, like all of [`super::validate`]: whether they are there shows when they are read.

use std::str::FromStr;

use super::validate::Rules;
use crate::keys;

/// A bucket that jobs may name as a source, besides the internal one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceBucket {
    /// Its name.
    pub name: String,
    /// The account whose it is, if not the deployment's.
    pub owner: Option<String>,
}

/// A text that names no bucket.
#[derive(Debug, thiserror::Error)]
#[error("must be `<bucket>` or `<bucket>=<account id of 12 digits>`")]
pub struct NotABucket;

impl FromStr for SourceBucket {
    type Err = NotABucket;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, owner) = text.split_once('=').map_or((text, None), |(name, owner)| (name, Some(owner)));
        let is_account = |owner: &str| owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit());
        if name.is_empty() || owner.is_some_and(|owner| !is_account(owner)) {
            return Err(NotABucket);
        }
        Ok(Self { name: name.to_owned(), owner: owner.map(str::to_owned) })
    }
}

impl Rules {
    /// What is wrong with naming this S3 location as a source, if anything.
    pub fn check_source(&self, bucket: &str, key: &str) -> Result<(), String> {
        if bucket == self.internal_bucket {
            return match keys::OWN_PREFIXES.iter().find(|prefix| key.starts_with(**prefix)) {
                Some(prefix) => Err(format!("may not name the engine's own objects under `{prefix}`")),
                None => Ok(()),
            };
        }
        if self.source_buckets.iter().any(|allowed| allowed.name == bucket) {
            return Ok(());
        }
        let others = self.source_buckets.iter().map(|allowed| &allowed.name);
        let allowed: Vec<_> = std::iter::once(&self.internal_bucket).chain(others).map(|b| format!("`{b}`")).collect();
        Err(format!("names a bucket that this deployment does not allow as a source; allowed: {}", allowed.join(", ")))
    }

    /// Whose account an allowed bucket has to be. Names of buckets become free when a bucket is deleted, and then anybody
    /// may take them: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>.
    pub fn owner_of(&self, bucket: &str) -> Option<&str> {
        let named = self.source_buckets.iter().find(|allowed| allowed.name == bucket);
        named.and_then(|allowed| allowed.owner.as_deref()).or(self.account.as_deref())
    }

    /// What is wrong with reading this parameter for a job, if anything.
    pub(super) fn check_parameter(&self, path: &str) -> Result<(), String> {
        let own = format!("/{}/", self.ssm_prefix);
        // After the name stands, if anything, a version or a label:
        // https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
        let (name, selector) = path.split_once(':').unwrap_or((path, "0"));
        let is_word = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        if path.starts_with("arn:") {
            Err("must be a parameter's name, not an ARN".to_owned())
        } else if !is_word(name, b"_.-/") || !is_word(selector, b"_.-") {
            Err("must be a parameter's name, of `A-Z a-z 0-9 _ . - /`; after a `:` its version or label".to_owned())
        } else if format!("/{}", path.trim_start_matches('/')).starts_with(&own) {
            Err(format!("may not name the engine's own parameters under `{own}`"))
        } else {
            Ok(())
        }
    }
}

/// Names as [`CreateSecret`](https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html) takes
/// them, and ARNs.
pub(super) fn check_secret(name: &str) -> Result<(), String> {
    let is_arn = || {
        let mut parts = name.splitn(4, ':');
        parts.next() == Some("arn") && parts.nth(1) == Some("secretsmanager")
    };
    let mut bytes = name.bytes();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
    if bytes.all(|byte| is_name(byte) || byte == b':') && (!name.contains(':') || is_arn()) {
        Ok(())
    } else {
        Err("must be a secret's name, of `A-Z a-z 0-9 / _ + = . @ -`, or its ARN".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_somebodys_or_the_deployments() {
        let bucket = |text: &str| text.parse::<SourceBucket>().map(|bucket| (bucket.name, bucket.owner));
        assert_eq!(bucket("team").unwrap(), ("team".to_owned(), None));
        assert_eq!(bucket("team=123456789012").unwrap(), ("team".to_owned(), Some("123456789012".to_owned())));
        for text in ["", "=123456789012", "team=", "team=12345678901", "team=12345678901a", "team=123456789012=1"] {
            assert!(bucket(text).is_err(), "{text}");
        }
    }
}

//! Execution targets: where the commands of an order run.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place that runs orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A Lambda function; up to 14 minutes.
    Lambda,
    /// A CodeBuild project; up to a day.
    Codebuild,
    /// Instances by SSM Run Command.
    Ssm,
}

impl Target {
    /// All targets.
    pub const ALL: [Self; 3] = [Self::Lambda, Self::Codebuild, Self::Ssm];

    /// The word that jobs and rows use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Codebuild => "codebuild",
            Self::Ssm => "ssm",
        }
    }

    /// The target that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.as_str() == word)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Most orders of one run at once on each target, so that one run leaves room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetLimits([usize; 3]);

impl TargetLimits {
    /// No limit on any target.
    pub const UNLIMITED: Self = Self([usize::MAX; 3]);

    /// The limit of a target.
    pub fn of(&self, target: Target) -> usize {
        self.0[target as usize]
    }

    /// The same limits, with one replaced.
    #[must_use]
    pub fn with(mut self, target: Target, limit: usize) -> Self {
        self.0[target as usize] = limit;
        self
    }
}

impl Default for TargetLimits {
    /// Half of an account's default Lambda concurrency of 1,000, CodeBuild's smallest default quota of concurrent builds,
    /// and as many commands as one SSM call may name instances.
    fn default() -> Self {
        Self([500, 20, 50])
    }
}

/// A text that sets no [`TargetLimits`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not of the form `lambda=500,codebuild=20,ssm=50`, each at least 1")]
pub struct BadLimits(String);

impl FromStr for TargetLimits {
    type Err = BadLimits;

    /// Reads `target=limit` pairs; targets that are not named keep their default.
    fn from_str(text: &str) -> Result<Self, BadLimits> {
        let wrong = || BadLimits(text.to_owned());
        text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).try_fold(Self::default(), |limits, pair| {
            let (target, limit) = pair.split_once('=').ok_or_else(wrong)?;
            let target = Target::from_word(target.trim()).ok_or_else(wrong)?;
            let limit = limit.trim().parse().ok().filter(|limit| *limit > 0).ok_or_else(wrong)?;
            Ok(limits.with(target, limit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_checked() {
        let limits: TargetLimits = "lambda=2, ssm=7".parse().unwrap();
        assert_eq!([limits.of(Target::Lambda), limits.of(Target::Codebuild), limits.of(Target::Ssm)], [2, 20, 7]);
        assert_eq!("lambda=500,codebuild=20,ssm=50".parse::<TargetLimits>().unwrap(), TargetLimits::default());
        for bad in ["lambda", "lambda=0", "ec2=3", "lambda=-1"] {
            assert!(bad.parse::<TargetLimits>().is_err(), "{bad}");
        }
    }
}

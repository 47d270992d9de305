//! The desk: how a worker reaches what S3 keeps of its order, the claim, the request to stop, the log and the result. On
//! Lambda and in a build it has a role for that; an instance has none of the engine's and is given signed URLs.

mod role;
mod signed;

use std::path::Path;

use common::{
    aws::AwsError,
    claim::{Claim, Ending, StopRequest},
    outcome::OrderResult,
};

pub(crate) use role::{ANSWER, RoleDesk};
pub(crate) use signed::{SignedDesk, refused, tried};

/// A desk.
#[derive(Debug)]
pub(crate) enum Desk<'a> {
    Role(RoleDesk<'a>),
    Signed(SignedDesk<'a>),
}

impl Desk<'_> {
    /// Takes the claim; `false`: somebody else has it.
    pub(crate) async fn take(&self, claim: &Claim) -> Result<bool, AwsError> {
        match self {
            Self::Role(desk) => desk.take(claim).await,
            Self::Signed(desk) => desk.take(claim).await,
        }
    }

    /// How the engine ended the order as a whole, after this worker claimed its share. Who claims a whole order knows by
    /// the claim itself.
    pub(crate) async fn ended(&self) -> Result<Option<Ending>, AwsError> {
        match self {
            Self::Role(_) => Ok(None),
            Self::Signed(desk) => desk.ended().await,
        }
    }

    /// The request to stop, if there is one.
    pub(crate) async fn stop_request(&self) -> Result<Option<StopRequest>, AwsError> {
        match self {
            Self::Role(desk) => desk.stop_request().await,
            Self::Signed(desk) => desk.stop_request().await,
        }
    }

    /// Puts the log.
    pub(crate) async fn put_log(&self, file: &Path) -> Result<(), AwsError> {
        match self {
            Self::Role(desk) => desk.put_log(file).await,
            Self::Signed(desk) => desk.put_log(file).await,
        }
    }

    /// The key of the log.
    pub(crate) fn log_key(&self) -> String {
        match self {
            Self::Role(desk) => desk.log_key(),
            Self::Signed(desk) => desk.log_key(),
        }
    }

    /// Delivers the result, unless another stands already: the first one counts.
    pub(crate) async fn deliver(&self, result: &OrderResult, url: Option<&str>) -> Result<(), AwsError> {
        match self {
            Self::Role(desk) => desk.deliver(result, url).await,
            Self::Signed(desk) => desk.deliver(result).await,
        }
    }
}

fn to_bytes(result: &OrderResult) -> Result<Vec<u8>, AwsError> {
    result.to_bytes().map_err(|error| AwsError::refused("write the result", error.to_string()))
}

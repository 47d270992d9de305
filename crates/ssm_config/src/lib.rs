//! `POST /ssm`: takes jobs of `ssm` orders alone. The steps are in [`common::intake`]; this is where they are entered.
//!
//! `ssm` is the default target here, and any other is refused; sealing and packaging are the same as everywhere.

use common::{
    aws::Aws,
    env::{BadSettings, Environment},
    intake::{answer::NotAccepted, settings, submit, validate::Entry},
};
use serde_json::Value;

pub use settings::Settings;

/// Reads the settings of this entry point.
pub fn load(environment: &Environment) -> Result<Settings, BadSettings> {
    Settings::load(environment, Entry::Ssm)
}

/// Handles one event: an HTTP request, an SNS notification, or a direct invoke with the body as the event.
///
/// # Errors
/// For a notification that Lambda is to deliver again.
pub async fn handle(aws: &Aws, settings: &Settings, event: Value, request_id: &str) -> Result<Value, NotAccepted> {
    submit::submit(aws, settings, event, request_id).await
}

//! Systems Manager, as far as it is embedded: Parameter Store and Run Command, which share one endpoint and one target.
//!
//! ```text
//!   parameters.rs   Parameter Store
//!   run_command/    instances, documents, commands
//!   request.rs      fields and pages of requests
//! ```

use std::sync::Arc;

use serde_json::Value;

use crate::errors::ApiError;
use parameters::Parameters;
use run_command::RunCommand;

pub(crate) mod parameters;
mod request;
pub(crate) mod run_command;

type Answer = Result<Value, ApiError>;

/// The embedded Systems Manager.
#[derive(Debug)]
pub(crate) struct Ssm {
    pub(crate) parameters: Parameters,
    pub(crate) run_command: Arc<RunCommand>,
}

impl Ssm {
    /// Serves one call whose signature is good.
    pub(crate) async fn call(&self, operation: &str, request: &Value) -> Answer {
        if run_command::OPERATIONS.contains(&operation) {
            self.run_command.call(operation, request).await
        } else {
            self.parameters.call(operation, request)
        }
    }
}

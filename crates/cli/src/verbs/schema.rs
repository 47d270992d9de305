//! `aws-exe schema`: the JSON Schema of a job.

use crate::exit::{Exit, Failure};

/// Prints the schema.
pub(crate) fn schema() -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&common::job::schema())
        .map_err(|error| Failure::machine(format!("failed to print the schema: {error}")))?;
    println!("{text}");
    Ok(Exit::Success)
}

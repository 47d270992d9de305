//! `aws-exe schema`: the JSON Schema of a job, as `docs/job.schema.json` has it.

use crate::{code::Code, exit::Exit, failure::Failure, job_file::schema, output::Output};

/// Prints the schema.
pub(crate) fn schema(output: &Output) -> Result<Exit, Failure> {
    let text = text()?;
    output.finish(&schema::of_files(), || text)?;
    Ok(Exit::Success)
}

/// The schema as it is published.
pub(crate) fn text() -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(&schema::of_files())
        .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to print the schema: {error}")))?;
    Ok(text + "\n")
}

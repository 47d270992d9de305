//! `aws-exe trace RECORD`, for people who work on the engine: what `--record` wrote, as a trace.

use std::{fs::File, io::BufReader};

use serde_json::json;

use crate::{args::TraceArgs, code::Code, exit::Exit, failure::Failure, output::Output};

/// Prints the trace.
pub(crate) fn trace(args: &TraceArgs, output: &Output) -> Result<Exit, Failure> {
    let path = args.record.display();
    let unreadable = |problem: String| Failure::new(Code::FileUnreadable, problem);
    let file = File::open(&args.record).map_err(|error| unreadable(format!("failed to open `{path}`: {error}")))?;
    let text = local::trace::trace(BufReader::new(file)).map_err(|error| unreadable(format!("`{path}`: {error}")))?;
    output.finish(&json!({"trace": text}), || text.clone())?;
    Ok(Exit::Success)
}

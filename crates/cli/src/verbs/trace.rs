//! `aws-exe trace RECORD`, for people who work on the engine: what `--record` wrote, as a trace.

use std::{fs::File, io::BufReader};

use crate::{
    args::TraceArgs,
    exit::{Exit, Failure},
};

/// Prints the trace.
pub(crate) fn trace(args: &TraceArgs) -> Result<Exit, Failure> {
    let path = args.record.display();
    let file = File::open(&args.record).map_err(|error| Failure::input(format!("failed to open `{path}`: {error}")))?;
    let text =
        local::trace::trace(BufReader::new(file)).map_err(|error| Failure::input(format!("`{path}`: {error}")))?;
    print!("{text}");
    Ok(Exit::Success)
}

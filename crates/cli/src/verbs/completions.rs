//! `aws-exe completions SHELL`: what makes a shell complete this command line.

use clap::CommandFactory as _;
use serde_json::json;

use crate::{
    args::{Args, CompletionsArgs},
    exit::Exit,
    failure::Failure,
    output::Output,
};

/// Prints the script.
pub(crate) fn completions(args: &CompletionsArgs, output: &Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "aws-exe", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    output.finish(&json!({"shell": args.shell.to_string(), "script": script}), || script.clone())?;
    Ok(Exit::Success)
}

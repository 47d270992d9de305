//! What several verbs take alike: the job, the engine, and how a job is submitted.

use std::{path::PathBuf, time::Duration};

/// A job, and what goes into it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct JobArgs {
    /// The job, JSON or YAML; `-` reads standard input; without it the variable `AWS_EXE_SYS_JOB_JSON`
    pub(crate) job: Option<PathBuf>,
    /// A value for `${var.NAME}` in the job's texts; NAME alone takes the environment's variable; may be given again
    #[arg(long = "var", value_name = "NAME[=VALUE]")]
    pub(crate) vars: Vec<String>,
    /// A job for instances alone: it goes to `POST /ssm`, where orders without a target are `ssm` orders
    #[arg(long)]
    pub(crate) ssm: bool,
}

/// Which engine a verb speaks to.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// The embedded AWS of this machine, also where `AWS_EXE_SYS_…` describes a stack
    #[arg(long, conflicts_with = "stack")]
    pub(crate) local: bool,
    /// The embedded AWS at this URL; default `AWS_ENDPOINT_URL`, then `http://127.0.0.1:4566`
    #[arg(long, value_name = "URL", conflicts_with = "stack")]
    pub(crate) endpoint: Option<String>,
    /// A deployed stack, by what `terraform output -json` printed
    #[arg(long, value_name = "FILE")]
    pub(crate) stack: Option<PathBuf>,
}

/// How a job is submitted.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SubmitOptions {
    /// The id of the new run; the same job under the same id is the same run
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    /// Send this folder as the code of every order that names none; `.gitignore` says what stays
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
    /// Wait until the run has ended, and exit with its code as `run` does
    #[arg(long)]
    pub(crate) wait: bool,
    /// Watch the run until it has ended, and exit with its code as `run` does
    #[arg(short, long, conflicts_with = "wait")]
    pub(crate) follow: bool,
}

/// Reads `90s`, `90m`, `12h`, `7d`.
pub(super) fn parse_age(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number with `s`, `m`, `h` or `d` after it, as `12h`".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(|| "is too long ago".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (text, seconds) in [("90s", 90), ("2m", 120), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "12", "-1h", "1w", "1.5h", "99999999999999999999d", "18446744073709551615d", "1 h", "1ü"]
        {
            assert!(parse_age(text).is_err(), "{text}");
        }
    }
}

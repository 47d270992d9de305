//! `aws-exe doctor`: what the command line needs, looked at piece by piece: which engine, who calls it, whether each part of
//! it answers. What is missing comes with how to mend it. Nothing is written or submitted.

use std::{fmt::Write as _, process::Command};

use common::{
    aws::AwsError,
    env::{Environment, JOB_JSON},
    ids::{OrderNum, RunId},
    keys,
    run_item::RunItems,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    args::DoctorArgs,
    code::Code,
    engine::{Engine, Entry, Kind, NoAnswer},
    exit::Exit,
    failure::Failure,
    output::Output,
    state,
};

/// A run that nobody has: reading it tells whether one may read.
const NOBODYS_RUN: &str = "aws-exe-doctor-looks";

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn good(what: &'static str, said: impl Into<String>) -> Self {
        Self { what, ok: true, said: said.into(), hint: None }
    }

    fn of(what: &'static str, good: &str, looked: Result<(), Failure>) -> Self {
        match looked {
            Ok(()) => Self::good(what, good),
            Err(failure) => Self { what, ok: false, said: failure.message, hint: failure.hint.map(String::from) },
        }
    }
}

/// Looks at everything.
pub(crate) async fn doctor(args: DoctorArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let mut findings = vec![Finding::good("aws-exe", env!("CARGO_PKG_VERSION"))];
    findings.push(git());
    if let Some(text) = environment.get(JOB_JSON.name) {
        findings.push(Finding::good("job", format!("`{}` is set, {} bytes", JOB_JSON.name, text.len())));
    }
    match Engine::connect(&args.engine, environment).await {
        Ok(engine) => findings.extend(Box::pin(look(&engine)).await?),
        Err(failure) => findings.push(Finding::of("engine", "", Err(failure))),
    }
    let missing = findings.iter().filter(|finding| !finding.ok).count();
    let shown = shown(&findings);
    if missing == 0 {
        output.finish(&json!({"findings": findings}), || shown)?;
        return Ok(Exit::Success);
    }
    output.text(&shown)?;
    output.finish_unsuccessfully(Code::NotHealthy, &json!({"findings": findings}))?;
    Ok(Code::NotHealthy.exit())
}

/// `aws-exe run` fetches code with it.
fn git() -> Finding {
    match Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => {
            Finding::good("git", String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        _ => Finding {
            what: "git",
            ok: false,
            said: "`git` cannot be run".to_owned(),
            hint: Some("install git 2.31 or later: `aws-exe run` fetches the code of orders with it".to_owned()),
        },
    }
}

async fn look(engine: &Engine) -> Result<Vec<Finding>, Failure> {
    let kind = match engine.kind {
        Kind::Embedded => "embedded AWS",
        Kind::Deployed => "stack",
    };
    let mut findings = vec![Finding::good("engine", format!("{kind} at {}", engine.shown))];
    findings.push(caller(engine).await);
    findings.push(Finding::of("API", "takes submissions", api(engine).await));
    let run: RunId = NOBODYS_RUN
        .parse()
        .map_err(|error| Failure::new(Code::MachineFailed, format!("failed to name a run: {error}")))?;
    let read = RunItems::new(&engine.aws, &engine.names.locks_table).get(&run).await;
    findings.push(Finding::of("runs", "can be read", read.map(drop).map_err(Failure::from)));
    findings.push(Finding::of("orders", "can be read", state::rows(engine, &run).await.map(drop)));
    findings.push(Finding::of("outcomes", "can be read", state::done(engine, &run).await.map(drop)));
    let result = engine.objects().get(&keys::result(&run, OrderNum::of_index(0)), 1).await;
    findings.push(Finding::of("logs", "can be read", result.map(drop).map_err(Failure::from)));
    Ok(findings)
}

/// Who calls. <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>: it needs no permission.
async fn caller(engine: &Engine) -> Finding {
    let sts = aws_sdk_sts::Client::new(engine.aws.config());
    let asked = sts.get_caller_identity().send().await.map_err(|error| AwsError::of("ask who calls", error));
    match asked {
        Ok(caller) => {
            let arn = caller.arn().unwrap_or("somebody without a name").to_owned();
            let region = engine.aws.config().region().map_or_else(String::new, |region| format!(" in {region}"));
            Finding::good("caller", format!("{arn}{region}"))
        }
        Err(error) => Finding::of("caller", "", Err(error.into())),
    }
}

/// An empty submission is refused for what it lacks, by an engine that is there.
async fn api(engine: &Engine) -> Result<(), Failure> {
    let asked = engine.api.post(Entry::Init, b"{}".to_vec()).await;
    let answer = match asked {
        Ok(answer) => answer,
        Err(NoAnswer::NotSent(failure)) => return Err(failure),
        Err(NoAnswer::Unclear(error)) => {
            return Err(Failure::new(Code::NoEngine, format!("the API does not answer: {error}"))
                .hint("look at `api_url` of the stack, and at the way there"));
        }
    };
    match answer.status {
        400 => Ok(()),
        401 | 403 => Err(Failure::new(Code::AccessDenied, format!("the API denies access ({})", answer.status))
            .hint("the policy `submitter` of the stack allows it")),
        status => Err(Failure::new(Code::AwsFailed, format!("the API answers {status} to an empty submission"))
            .hint("the log of the function `init_job` says why")),
    }
}

fn shown(findings: &[Finding]) -> String {
    let widest = findings.iter().map(|finding| finding.what.len()).max().unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let sign = if finding.ok { '✓' } else { '✗' };
        let _infallible = writeln!(text, "{sign} {:<widest$}  {}", finding.what, finding.said);
        if let Some(hint) = &finding.hint {
            let _infallible = writeln!(text, "  {:<widest$}  hint: {hint}", "");
        }
    }
    text
}

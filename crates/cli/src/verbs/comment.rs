//! `aws-exe comment RUN`: one comment on a pull request or issue with how the orders of a run stand, posted or updated. The
//! engine itself posts nothing: a pipeline calls this after a run.

use std::fmt::Write as _;

use common::{
    env::Environment,
    status::{Outcome, Status},
    text::sentence,
    vcs::{self, Change, CommitStatus, Host, Options, Repository, State, Subject, Tag, VcsError},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    args::{CommentArgs, Provider},
    code::Code,
    engine::Engine,
    exit::Exit,
    failure::Failure,
    lookup::Run,
    output::Output,
    signs::sign,
    state::{Done, OrderState},
    times::utc,
    verbs::{events, status},
};

/// Characters of a reason in the table.
const REASON: usize = 200;

/// What the run says of where it belongs.
#[derive(Debug, Default)]
struct Carried {
    repo: Option<String>,
    pr: Option<u64>,
    issue: Option<u64>,
    tag: Option<String>,
}

/// Posts or updates the comment.
pub(crate) async fn comment(args: CommentArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let engine = Engine::connect(&args.engine, environment).await?;
    let run = Run::find(&engine, &args.run).await?;
    let orders = run.orders().await?;
    let done = if run.is_completed() { run.done().await? } else { None };
    let word = status::word(&run, done.as_ref());
    let carried = carried(&engine, &run).await?;
    let label = run.flow_id.rsplit_once('-').map_or(run.flow_id.as_str(), |(_, label)| label);
    let name = args.tag.as_deref().or(carried.tag.as_deref()).unwrap_or(label);
    let tag = Tag::new(name).map_err(|error| failed(&error))?;
    if args.dry_run {
        let body = body(&run, &orders, &word, usize::MAX);
        output.finish(&json!({"body": body, "tag": name}), || body.clone())?;
        return Ok(Exit::Success);
    }
    let repository = repository(&args, &carried)?;
    let subject = subject(&args, &carried)?;
    let token = environment.get(&args.token_env).map(SecretString::from).ok_or_else(|| {
        Failure::new(Code::NoToken, format!("the variable `{}` is not set", args.token_env))
            .hint("it has the token for the code host; `--token-env VARIABLE` names another one")
    })?;
    let vcs = vcs::connect(repository, Some(token), Options::default()).map_err(|error| failed(&error))?;
    let body = body(&run, &orders, &word, vcs.longest_text(&tag));
    let posted = vcs.upsert(subject, &tag, &body).await.map_err(|error| failed(&error))?;
    if posted.others > 0 {
        output.note(&format!("{} more comments have the tag `{name}`; they stand as they were", posted.others))?;
    }
    if let Some(commit) = &args.commit {
        let status = commit_status(label, done.as_ref(), &orders);
        vcs.set_status(commit, &status).await.map_err(|error| failed(&error))?;
    }
    let change = match posted.change {
        Change::Created => "posted",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
    };
    let result = json!({"change": change, "id": posted.comment.id, "url": posted.comment.url, "tag": name});
    output.finish(&result, || {
        format!("{change}: {}\n", posted.comment.url.unwrap_or_else(|| format!("comment {}", posted.comment.id)))
    })?;
    Ok(Exit::Success)
}

/// What the run's first event has of the job that belongs here.
async fn carried(engine: &Engine, run: &Run<'_>) -> Result<Carried, Failure> {
    let events = events::read(engine, run, Some("_job")).await?;
    let Some(data) = events.iter().find_map(|event| event.get("data")) else { return Ok(Carried::default()) };
    let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| data.get(name).and_then(Value::as_u64);
    Ok(Carried {
        repo: text("git_repo"),
        pr: number("pr_number"),
        issue: number("issue_number"),
        tag: text("pr_comment_search_tag"),
    })
}

fn repository(args: &CommentArgs, carried: &Carried) -> Result<Repository, Failure> {
    let repo = args.repo.as_ref().or(carried.repo.as_ref()).ok_or_else(|| {
        Failure::new(Code::NoSubject, "the run names no repository")
            .hint("give `--repo org/repo`, or name `git_repo` in the job")
    })?;
    let host = args.provider.map(|provider| match provider {
        Provider::Github => Host::GitHub,
        Provider::Gitlab => Host::GitLab,
        Provider::Bitbucket => Host::Bitbucket,
    });
    let repository = match (host, &args.api) {
        (Some(host), Some(api)) => Repository::on(host, api, repo),
        (Some(host), None) => Repository::on(host, host.public_api(), repo),
        (None, _) => Repository::parse(repo),
    };
    repository.map_err(|error| failed(&error))
}

fn subject(args: &CommentArgs, carried: &Carried) -> Result<Subject, Failure> {
    let asked = Subject::of_job(args.pr, args.issue);
    asked.or_else(|| Subject::of_job(carried.pr, carried.issue)).ok_or_else(|| {
        Failure::new(Code::NoSubject, "the run names no pull request and no issue")
            .hint("give `--pr NUMBER` or `--issue NUMBER`, or name `pr_number` in the job")
    })
}

fn failed(error: &VcsError) -> Failure {
    let code = match error {
        VcsError::NoToken { .. } => Code::NoToken,
        VcsError::BadInput { .. } => Code::OptionWrong,
        _ => Code::HostRefused,
    };
    Failure::new(code, format!("failed to {error}"))
}

fn commit_status(label: &str, done: Option<&Done>, orders: &[OrderState]) -> CommitStatus {
    let state = match done.map(|done| done.status) {
        None => State::Pending,
        Some(Outcome::Succeeded) => State::Success,
        Some(_) => State::Failure,
    };
    CommitStatus { context: format!("aws-exe/{label}"), state, description: status::counts(orders), target_url: None }
}

/// The comment: the orders as a table, those that did not succeed first where not all of them fit.
fn body(run: &Run<'_>, orders: &[OrderState], word: &str, most: usize) -> String {
    let head = format!("**`{}` {}**: {}\n\n", run.id, word.replace('_', " "), status::counts(orders));
    let submitted = orders.iter().filter_map(|order| order.created_at).min();
    let at = submitted.map_or_else(String::new, |at| format!(", submitted {}", utc(at)));
    let foot = format!("\n<sub>by {}{at}</sub>\n", escaped(run.username()));
    let table = "| | order | target | time | |\n| --- | --- | --- | ---: | --- |\n";
    let mut lines: Vec<(bool, String)> =
        orders.iter().map(|order| (order.status != Status::Ended(Outcome::Succeeded), line(order))).collect();
    let mut text = format!("{head}{table}");
    // Room for how many are left out.
    let room = most.saturating_sub(text.chars().count() + foot.chars().count() + 100);
    if lines.iter().map(|(_, line)| line.chars().count()).sum::<usize>() > room {
        // Stable: else in the order of the job.
        lines.sort_by_key(|(matters, _)| !matters);
    }
    let (mut used, mut left_out) = (0, 0);
    for (_, line) in lines {
        used += line.chars().count();
        if used > room {
            left_out += 1;
        } else {
            text.push_str(&line);
        }
    }
    if left_out > 0 {
        let _infallible = writeln!(text, "\n{left_out} more: `aws-exe status {}`", run.id);
    }
    text + &foot
}

fn line(order: &OrderState) -> String {
    let time = order.elapsed().map_or_else(String::new, |seconds| format!("{seconds:.1} s"));
    let reused = order.reused_from.as_ref().map(|run| format!("in the run `{run}`"));
    let told = order.failure_reason.as_deref().map(|reason| escaped(&sentence(reason, REASON))).or(reused);
    format!(
        "| {} {} | {} | {} | {time} | {} |\n",
        sign(order.status),
        order.status.as_str().replace('_', " "),
        escaped(&order.order_name),
        order.execution_target.as_str(),
        told.unwrap_or_default(),
    )
}

/// A stranger's text in a cell of a table: what Markdown or HTML would take for something else is escaped.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            // Nobody is to be notified, and nothing linked.
            '@' | '#' | '!' => {
                let _infallible = write!(shown, "&#{};", u32::from(char));
            }
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '~' => shown.extend(['\\', char]),
            char => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_texts_stay_texts() {
        for (text, shown) in [
            ("plain-name_1.0", "plain-name\\_1.0"),
            ("a | b", "a \\| b"),
            ("@team see #12", "&#64;team see &#35;12"),
            ("<img src=x> ![x](y)", "&lt;img src=x&gt; &#33;\\[x\\](y)"),
            ("`code` & *bold*", "\\`code\\` &amp; \\*bold\\*"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }
}

//! `aws-exe comment`: one comment with how a run stands, posted first and updated then. The code host is a small server of
//! the test's own, which keeps what it is sent; how each host answers is held in `common`'s tests.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::support::{
    Stack,
    aws_exe::{Said, call},
    job,
};

/// What came in: method, path, body.
type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A host with at most one comment. Serves until the test's process ends.
fn host() -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let keeps = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut comment = None;
        for stream in listener.incoming() {
            serve(stream.unwrap(), &keeps, &mut comment);
        }
    });
    (url, seen)
}

fn serve(mut stream: TcpStream, seen: &Seen, comment: &mut Option<Value>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    reader.read_line(&mut head).unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let (status, answer) = match method.as_str() {
        "GET" => ("200 OK", json!(comment.iter().collect::<Vec<_>>())),
        "POST" if path.contains("/statuses/") => ("201 Created", json!({"state": body["state"]})),
        _ => {
            let user = json!({"login": "me"});
            let new = json!({"id": 7, "body": body["body"], "html_url": "https://host/c/7", "user": user});
            *comment = Some(new.clone());
            (if method == "POST" { "201 Created" } else { "200 OK" }, new)
        }
    };
    seen.lock().unwrap().push((method, path, body));
    let answer = answer.to_string();
    let length = answer.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
    )
    .unwrap();
}

impl Stack {
    async fn comment(&self, host: &str, arguments: &[&str]) -> Said {
        let fixed = ["comment", "r", "--provider", "github", "--api", host];
        let mut verb = self.verb(&[&fixed[..], arguments].concat());
        verb.env("VCS_TOKEN", "token-of-the-test");
        call(verb).await
    }
}

#[tokio::test]
async fn a_run_has_one_comment_that_is_posted_and_then_updated() {
    let stack = Stack::start().await;
    let (url, seen) = host();
    let bench = stack.new_folder("bench");
    let waits = format!("while ! test -e {}; do sleep 0.05; done", bench.join("go").display());
    let job = job()
        .with("pr_number", 12)
        .order("build")
        .cmds(["true"])
        .order("a-b-team")
        .after(["build"])
        .cmds([waits, "exit 3".to_owned()]);
    let run = stack.submit_as("r", &job).await;
    run.until_row("a-b-team", "running").await;

    let said = stack.comment(&url, &["--repo", "org/repo"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "posted: https://host/c/7\n"), "{}", said.shown());
    std::fs::write(bench.join("go"), "").unwrap();
    run.done().await;
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let said = stack.comment(&url, &["--repo", "org/repo", "--commit", commit]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, "updated: https://host/c/7\n"), "{}", said.shown());
    let said = stack.comment(&url, &["--repo", "org/repo"]).await;
    assert_eq!(said.stdout, "unchanged: https://host/c/7\n", "{}", said.shown());

    let seen = seen.lock().unwrap();
    let did: Vec<(&str, &str)> =
        seen.iter().map(|(method, path, _)| (method.as_str(), path.split('?').next().unwrap())).collect();
    let (list, comment) = ("/repos/org/repo/issues/12/comments", "/repos/org/repo/issues/comments/7");
    let status = format!("/repos/org/repo/statuses/{commit}");
    assert_eq!(
        did,
        [("GET", list), ("POST", list), ("GET", list), ("PATCH", comment), ("POST", status.as_str()), ("GET", list)]
    );
    let text = |index: usize| seen[index].2["body"].as_str().unwrap();
    assert!(text(1).contains("**`r` running**: 2 orders: 1 running, 1 succeeded"), "{}", text(1));
    assert!(text(3).contains("| ✗ failed | a-b-team | lambda |"), "{}", text(3));
    assert!(text(3).contains("command 2 of 2 exited with 3"), "{}", text(3));
    assert_eq!(seen[4].2["state"], "failure");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let stack = Stack::start().await;
    crate::support::expect::expect_success(&stack.submit_as("r", &job().order("a").cmds(["true"])).await).await;
    insta::assert_snapshot!(stack.screen(&["comment", "r", "--dry-run"]).await, @r"
    exit 0
    ── stdout
    **`r` succeeded**: 1 order: 1 succeeded

    | | order | target | time | |
    | --- | --- | --- | ---: | --- |
    | ✓ succeeded | a | lambda | <took> |  |

    <sub>by tester, submitted <time></sub>
    ── stderr
    ");
    insta::assert_snapshot!(stack.screen(&["comment", "r"]).await, @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0501]: the run names no repository
    hint: give `--repo org/repo`, or name `git_repo` in the job
    ");
    insta::assert_snapshot!(stack.screen(&["comment", "r", "--repo", "org/repo"]).await, @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0501]: the run names no pull request and no issue
    hint: give `--pr NUMBER` or `--issue NUMBER`, or name `pr_number` in the job
    ");
    insta::assert_snapshot!(stack.screen(&["comment", "r", "--repo", "org/repo", "--pr", "3"]).await, @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0502]: the variable `VCS_TOKEN` is not set
    hint: it has the token for the code host; `--token-env VARIABLE` names another one
    ");
    let said = stack.comment("http://127.0.0.1:9", &["--repo", "org/repo", "--pr", "3"]).await;
    assert!(said.code == 4 && said.stderr.starts_with("error[AES0503]: "), "{}", said.shown());
    assert!(!said.shown().contains("token-of-the-test"), "{}", said.shown());
}

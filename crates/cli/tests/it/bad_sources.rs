//! Code that cannot be had, or must not be taken: each with its precise error, and nothing left behind.

use std::io::Write as _;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::{
    sources::{repository, zipped},
    support::{Stack, expect::expect_success, job, stack::INTERNAL},
};

/// The first problem of a job, which is its only one.
async fn problem(stack: &Stack, document: &Value) -> String {
    let mut problems = stack.refused_job(document).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[tokio::test]
async fn repositories_commits_and_folders_that_are_not_there() {
    let stack = Stack::start().await;
    let repo = stack.new_folder("repo");
    repository(&repo);
    let (repo, none) = (repo.to_str().unwrap().to_owned(), stack.path("none"));
    let none = none.to_str().unwrap();

    let of_job = problem(&stack, &job().with("git_repo", none).order("a").document()).await;
    assert!(of_job.starts_with("git_repo: "), "{of_job}");
    let of_order = problem(&stack, &job().order("x").order("a").its("git_repo", none).document()).await;
    assert!(of_order.starts_with("orders[1].git_repo: "), "{of_order}");

    let with_repo = || job().with("git_repo", repo.as_str());
    let no_commit = problem(&stack, &with_repo().with("commit_hash", "no-such-branch").order("a").document()).await;
    assert!(no_commit.starts_with("commit_hash: ") && no_commit.contains("no-such-branch"), "{no_commit}");
    let without_repo =
        problem(&stack, &job().with("git_repo", "org").order("a").its("commit_hash", "v1").document()).await;
    assert!(without_repo.starts_with("git_repo: "), "{without_repo}");
    let no_commit = problem(&stack, &with_repo().order("a").its("commit_hash", "f".repeat(40)).document()).await;
    assert!(no_commit.starts_with("orders[0].commit_hash: "), "{no_commit}");
    let no_folder = problem(&stack, &with_repo().order("a").its("git_folder", "infra/staging").document()).await;
    assert_eq!(no_folder, "orders[0].git_folder: `infra/staging` is no folder of the order's code");
    let file = problem(&stack, &with_repo().order("a").its("git_folder", "version").document()).await;
    assert_eq!(file, "orders[0].git_folder: `version` is no folder of the order's code");
    stack.assert_untouched(&[]).await;
}

#[tokio::test]
async fn repositories_that_may_not_be_named() {
    let stack = Stack::start().await;
    for repo in [
        "ext::sh -c touch% /tmp/pwned",
        "--upload-pack=touch /tmp/pwned",
        "http://github.com/org/repo",
        "https://token@github.com/org/repo",
        "https://evil.example/org/repo",
        "git://github.com/org/repo",
        "org",
        "org/repo/more",
        "https://github.com/org/../../etc",
        "a/b\nc",
    ] {
        let told = problem(&stack, &job().order("a").its("git_repo", repo).document()).await;
        assert!(told.starts_with("orders[0].git_repo: "), "{repo}: {told}");
        assert!(!told.contains("token@"), "{told}");
    }
    for commit in ["--upload-pack=x", "a b", "a:b", "a..b", "-", "@{-1}"] {
        let told =
            problem(&stack, &job().order("a").its("git_repo", "org/repo").its("commit_hash", commit).document()).await;
        assert!(told.starts_with("orders[0].commit_hash: "), "{commit}: {told}");
    }
    for folder in ["../x", "/etc", "a/../../b", "a//../.."] {
        let told =
            problem(&stack, &job().order("a").its("git_repo", "org/repo").its("git_folder", folder).document()).await;
        assert!(told.starts_with("orders[0].git_folder: "), "{folder}: {told}");
    }
    stack.assert_untouched(&[]).await;
}

/// A zip with a file of this name, and beside it a link if there is a target.
fn hostile(name: &str, link: Option<&str>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    if let Some(target) = link {
        writer.add_symlink("link", target, SimpleFileOptions::default()).unwrap();
    }
    writer.start_file(name, SimpleFileOptions::default()).unwrap();
    writer.write_all(b"x").unwrap();
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn zips_that_are_not_there_or_not_harmless() {
    let stack = Stack::start().await;
    let zips = [
        ("sources/dots.zip", hostile("../evil", None), ".."),
        ("sources/absolute.zip", hostile("/etc/evil", None), "/etc/evil"),
        ("sources/link.zip", hostile("a", Some("/etc/passwd")), "link"),
        ("sources/text.zip", b"no zip at all".to_vec(), "zip"),
    ];
    for (key, bytes, part) in &zips {
        stack.put_object(INTERNAL, key, bytes.clone()).await;
        let location = format!("s3://{INTERNAL}/{key}");
        let told = problem(&stack, &job().order("a").its("s3_location", location).document()).await;
        assert!(told.starts_with("orders[0].s3_location: ") && told.contains(part), "{key}: {told}");
    }
    stack.put_object(INTERNAL, "sources/good.zip", zipped(&[("a.txt", "x"), ("d/b.txt", "x")])).await;
    let at = |location: &str| job().order("a").its("s3_location", location);
    for (document, wanted) in [
        (at("s3://exe-sys-internal/sources/none.zip").document(), "orders[0].s3_location: "),
        (
            at("s3://exe-sys-internal/sources/good.tar").document(),
            "orders[0].s3_location: must be of the form `s3://bucket/key.zip`",
        ),
        (
            at("s3://exe-sys-internal/tmp/exec/x/0001/exec.zip").document(),
            "orders[0].s3_location: may not name the engine's own objects under `tmp/`",
        ),
        (
            at("s3://exe-sys-internal/logs/x.zip").document(),
            "orders[0].s3_location: may not name the engine's own objects under `logs/`",
        ),
        (
            at("s3://someone-elses/x.zip").document(),
            "orders[0].s3_location: names a bucket that this deployment does not allow",
        ),
        (
            at("s3://exe-sys-internal/sources/good.zip").its("git_repo", "org/repo").document(),
            "orders[0].git_repo: cannot stand beside an `s3_location`",
        ),
        (
            at("s3://exe-sys-internal/sources/good.zip").its("git_folder", "a.txt").document(),
            "orders[0].git_folder: `a.txt` is no folder of the order's code",
        ),
        (
            at("s3://exe-sys-internal/sources/good.zip").its("git_folder", "e").document(),
            "orders[0].git_folder: `e` is no folder of the order's code",
        ),
    ] {
        let told = problem(&stack, &document).await;
        assert!(told.starts_with(wanted), "{told}");
    }
    let mut own: Vec<&str> = zips.iter().map(|(key, ..)| *key).chain(["sources/good.zip"]).collect();
    own.sort_unstable();
    stack.assert_untouched(&own).await;
    expect_success(&stack.submit(&at("s3://exe-sys-internal/sources/good.zip")).await).await;
}

#[tokio::test]
async fn problems_of_several_sources_come_at_once() {
    let stack = Stack::start().await;
    let none = stack.path("none");
    let job = job()
        .order("a")
        .its("git_repo", none.to_str().unwrap())
        .order("b")
        .its("s3_location", "s3://exe-sys-internal/sources/none.zip");
    let mut problems = stack.refused(&json!({"job": job.document()})).await;
    problems.sort();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("orders[0].git_repo: ") && problems[1].starts_with("orders[1].s3_location: "),
        "{problems:?}"
    );
    stack.assert_untouched(&[]).await;
}

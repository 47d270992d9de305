//! Where the code of an order comes from: a git repository at any commit, a zip in S3, or nowhere.

use std::{io::Write as _, path::Path, process::Command};

use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::support::{Stack, expect::expect_success, job, stack::INTERNAL};

/// Runs git in a folder; gives what it printed.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=trunk"];
    let output = Command::new("git").args(identity).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with two commits, a tag at the first, a branch, a folder, an executable and a link; gives both commits.
pub(crate) fn repository(folder: &Path) -> (String, String) {
    std::fs::create_dir_all(folder.join("infra/prod")).unwrap();
    git(folder, &["init", "-q"]);
    std::fs::write(folder.join("version"), "old\n").unwrap();
    std::fs::write(folder.join("infra/prod/main.tf"), "# prod\n").unwrap();
    std::fs::write(folder.join("run.sh"), "#!/bin/sh\necho ran from $(basename $(pwd))\n").unwrap();
    std::os::unix::fs::symlink("../../version", folder.join("infra/prod/version")).unwrap();
    std::fs::set_permissions(folder.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", "old"]);
    git(folder, &["tag", "v1"]);
    std::fs::write(folder.join("version"), "new\n").unwrap();
    git(folder, &["commit", "-qam", "new"]);
    git(folder, &["branch", "side"]);
    (git(folder, &["rev-parse", "v1"]), git(folder, &["rev-parse", "HEAD"]))
}

#[tokio::test]
async fn code_comes_from_git_at_head_a_commit_a_tag_a_branch_and_a_folder() {
    let stack = Stack::start().await;
    let repo = stack.new_folder("repo with blanks");
    let (old, new) = repository(&repo);
    let url = format!("file://{}", repo.display().to_string().replace(' ', "%20"));
    let is = |version: &str| [format!("[ \"$(cat version)\" = {version} ]"), "[ ! -e .git ]".to_owned()];
    let job = job()
        .with("git_repo", repo.to_str().unwrap())
        .order("head")
        .cmds(is("new"))
        .order("old-commit")
        .its("commit_hash", old.as_str())
        .cmds(is("old"))
        .order("short-tag")
        .its("commit_hash", "v1")
        .cmds(is("old"))
        .order("branch")
        .its("commit_hash", "side")
        .cmds(is("new"))
        .order("folder")
        .its("git_repo", url)
        .its("git_folder", "infra/prod")
        .cmds([
            "[ \"$(cat main.tf)\" = '# prod' ]",
            "[ \"$(cat version)\" = new ]",
            "../../run.sh | grep 'ran from prod'",
        ])
        .order("no-writes-are-shared")
        .cmds(["echo changed > version"])
        .order("fresh")
        .after(["no-writes-are-shared"])
        .cmds(is("new"));
    let run = stack.submit(&job).await;
    let ended = expect_success(&run).await;
    let git: serde_json::Value = {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        serde_json::from_slice(&BASE64_STANDARD.decode(ended.rows[1]["git_b64"].as_str().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(git, json!({"repo": repo.to_str().unwrap(), "folder": null, "commit": old, "token_location": null}));
    // HEAD twice by path and by URL, the old commit, the tag and the branch: five sources, two of whose contents differ.
    let keys = stack.keys(INTERNAL).await;
    let code: Vec<_> = keys.iter().filter(|key| key.contains("/code/")).collect();
    assert_eq!(code.len(), 2, "the same code is kept once ({old}, {new}): {code:?}");
}

/// A zip with these files.
pub(crate) fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn code_comes_from_a_zip_in_s3() {
    let stack = Stack::start().await;
    stack
        .put_object(
            INTERNAL,
            "sources/app.zip",
            zipped(&[("a.txt", "top"), ("sub/run.sh", "#!/bin/sh\necho from the zip")]),
        )
        .await;
    let job = job()
        .order("top")
        .its("s3_location", "s3://exe-sys-internal/sources/app.zip")
        .cmds(["[ \"$(cat a.txt)\" = top ]"])
        .order("sub")
        .its("s3_location", "s3://exe-sys-internal/sources/app.zip")
        .its("git_folder", "sub")
        .cmds(["./run.sh"]);
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    assert_eq!(run.result_of("sub").await["log"], "from the zip\n");
}

#[tokio::test]
async fn a_bucket_that_the_deployment_allows_is_a_source() {
    let stack = Stack::start().variable("AWS_EXE_SYS_SOURCE_BUCKETS", "team-sources").await;
    stack.aws.s3().create_bucket().bucket("team-sources").send().await.unwrap();
    stack.put_object("team-sources", "app.zip", zipped(&[("a.txt", "top")])).await;
    let job = job().order("a").its("s3_location", "s3://team-sources/app.zip").cmds(["cat a.txt"]);
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    assert_eq!(run.result_of("a").await["log"], "top");
}

#[tokio::test]
async fn a_bucket_of_another_account_than_expected_is_refused() {
    let team = "team-sources=123456789012,own-sources=000000000000";
    let stack = Stack::start().variable("AWS_EXE_SYS_SOURCE_BUCKETS", team).await;
    for bucket in ["team-sources", "own-sources"] {
        stack.aws.s3().create_bucket().bucket(bucket).send().await.unwrap();
        stack.put_object(bucket, "app.zip", zipped(&[("a.txt", "top")])).await;
        let document = job().order("a").cmds(["cat a.txt"]).document();
        stack.put_object(bucket, "job.json", document.to_string()).await;
    }
    let of = |bucket: &str| job().order("a").its("s3_location", format!("s3://{bucket}/app.zip")).cmds(["cat a.txt"]);
    let told = stack.refused_job(&of("team-sources").document()).await;
    assert!(told[0].starts_with("orders[0].s3_location: ") && told[0].contains("AccessDenied"), "{told:?}");
    let told = stack.refused(&json!({"payload_s3_uri": "s3://team-sources/job.json"})).await;
    assert!(told[0].starts_with("payload_s3_uri: ") && told[0].contains("AccessDenied"), "{told:?}");
    expect_success(&stack.submit(&of("own-sources")).await).await;
}

#[tokio::test]
async fn an_order_without_code_begins_in_an_empty_folder() {
    let stack = Stack::start().await;
    let run = stack.submit(&job().order("a").cmds(["[ -z \"$(ls -A)\" ]"])).await;
    expect_success(&run).await;
}

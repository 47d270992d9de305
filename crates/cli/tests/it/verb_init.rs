//! `aws-exe init`: a job to begin with, which runs, and that nothing is overwritten unasked.

use crate::support::aws_exe::{call, command};

#[tokio::test]
async fn the_starter_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let said = call(command(folder.path(), &["init"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    wrote `job.yaml`
    run it with `aws-exe run job.yaml`
    ── stderr
    ");
    let said = call(command(folder.path(), &["run", "job.yaml"])).await;
    assert_eq!(said.code, 0, "{}", said.shown());
    for order in ["build", "test", "report"] {
        assert!(said.stderr.contains(&format!("✓ {order} ")), "{order}: {}", said.shown());
    }
}

#[tokio::test]
async fn nothing_is_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs/first.json");
    std::fs::create_dir(folder.path().join("jobs")).unwrap();
    std::fs::write(&path, "mine").unwrap();
    let said = call(command(folder.path(), &["init", "jobs/first.json", "--schema"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0107]: `jobs/first.json` is there already
    hint: name another file, or overwrite it with `--force`
    ");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(!folder.path().join("jobs/job.schema.json").exists());
    let said = call(command(folder.path(), &["init", "jobs/first.json", "--schema", "--force"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 0
    ── stdout
    wrote `jobs/first.json`
    wrote `jobs/job.schema.json`
    run it with `aws-exe run jobs/first.json`
    ── stderr
    ");
    let schema = call(command(folder.path(), &["schema"])).await.stdout;
    assert_eq!(std::fs::read_to_string(folder.path().join("jobs/job.schema.json")).unwrap(), schema);
    assert_eq!(call(command(folder.path(), &["validate", "jobs/first.json"])).await.code, 0);
}

#[tokio::test]
async fn names_that_say_no_form_and_none_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let said = call(command(folder.path(), &["init", "job.toml"])).await;
    insta::assert_snapshot!(said.shown(), @r"
    exit 2
    ── stdout
    ── stderr
    error[AES0109]: `job.toml` is neither YAML nor JSON by its name
    hint: name a file that ends in `.yaml`, `.yml` or `.json`
    ");
    let said = call(command(folder.path(), &["init", "no/such/folder/job.yaml"])).await;
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("failed to write `no/such/folder/job.yaml`"), "{}", said.shown());
    let printed = call(command(folder.path(), &["init", "-"])).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    assert!(printed.stdout.contains("\n# yaml-language-server: $schema=job.schema.json\n"), "{}", printed.stdout);
    assert_eq!(call(command(folder.path(), &["init", "-", "--schema"])).await.code, 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

//! A real `terraform apply` that is cancelled: it is interrupted, not killed, so it gives up the lock on its state.
//! Skipped where neither `terraform` nor `tofu` is installed.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;

use crate::support::{Cancelled, Failed, Stack, expect, job};

/// `terraform_data` is built in, so nothing is downloaded. The provisioner waits for longer than the test does.
const CONFIGURATION: &str = r#"
terraform {
  backend "local" {}
}

resource "terraform_data" "waits" {
  provisioner "local-exec" {
    command = "echo > \"$BEGAN\"; sleep 600"
  }
}
"#;

/// The program, if there is one.
fn terraform() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    ["terraform", "tofu"]
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// A call from outside of the engine, with an environment as bare as an order's.
async fn call(program: &Path, folder: &Path, data: &Path, arguments: &'static [&'static str]) -> Output {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments).env_clear().env("CHECKPOINT_DISABLE", "1").env("TF_DATA_DIR", data);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_cancelled_apply_leaves_no_lock() {
    let Some(terraform) = terraform() else {
        // Past the capture of a test that succeeds.
        writeln!(std::io::stderr(), "skipped: neither `terraform` nor `tofu` is installed").unwrap();
        return;
    };
    // Only the pause until the worker looks for the request is to be shorter: Terraform needs its time.
    let stack = Stack::start().speed(5).await;
    let (code, state, began) = (stack.new_folder("code"), stack.new_folder("state"), stack.path("began"));
    let data = stack.path("data");
    std::fs::write(code.join("main.tf"), CONFIGURATION).unwrap();
    let tool = format!("'{}' -chdir='{}'", terraform.display(), code.display());
    let variables = json!({
        "BEGAN": began, "CHECKPOINT_DISABLE": "1", "STATE": state.join("terraform.tfstate"), "TF_DATA_DIR": data,
    });
    let job = job().order("apply").its("env_vars", variables).timeout(500).stop_grace(300).cmds([
        format!("{tool} init -input=false -no-color -backend-config=\"path=$STATE\""),
        format!("{tool} apply -auto-approve -input=false -no-color"),
    ]);
    let run = stack.submit_as("r", &job).await;
    let lock = state.join(".terraform.tfstate.lock.info");
    run.until("Terraform to hold its lock and to be at work", async || (lock.exists() && began.exists()).then_some(()))
        .await;
    let said = stack.call(&["cancel", "r", "apply", "--wait"]).await;
    assert!(said.code == 1 && said.stdout.ends_with("has ended: cancelled\n"), "{}", said.shown());
    assert!(!lock.exists(), "the state is still locked");
    let said = stack.call(&["logs", "r", "apply"]).await;
    assert!(said.code == 0 && said.stdout.contains("Gracefully shutting down"), "{}", said.shown());
    expect(&run, Failed, [("apply", Cancelled)]).await;
    let result = run.result_of("apply").await;
    assert_eq!(result["reason"], "command 2 of 2 was stopped: the order was cancelled");

    let plan = call(&terraform, &code, &data, &["plan", "-input=false", "-no-color", "-lock-timeout=0s"]).await;
    let told = String::from_utf8_lossy(&plan.stdout);
    // What was interrupted is known, and to be made again.
    assert!(plan.status.success() && told.contains("1 to add"), "{told}{}", String::from_utf8_lossy(&plan.stderr));
}

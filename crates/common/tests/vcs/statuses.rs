//! Statuses of commits.

use common::vcs::{CommitStatus, State, VcsError};

use crate::stage::{COMMIT, Stage, on, on_each, status};

#[tokio::test]
async fn a_status_is_set() {
    on_each("status", async |stage: &Stage| {
        for state in [State::Pending, State::Success, State::Failure] {
            stage.vcs.set_status(COMMIT, &status(state)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn gitlab_refuses_to_make_pending_what_is_pending() {
    on("gitlab/status_pending_twice", async |stage: &Stage| {
        stage.vcs.set_status(COMMIT, &status(State::Pending)).await.unwrap();
    })
    .await;
    on("gitlab/status_pending_refused", async |stage: &Stage| {
        let error = stage.vcs.set_status(COMMIT, &status(State::Pending)).await.unwrap_err();
        assert!(stage.told(&error).contains("Cannot transition status"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn bitbucket_needs_a_short_key_and_a_place_to_lead_to() {
    on("bitbucket/status_without_url", async |stage: &Stage| {
        let context = "deploy of everything to every region at once".to_owned();
        let status = CommitStatus { context, state: State::Pending, description: String::new(), target_url: None };
        stage.vcs.set_status(COMMIT, &status).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_no_host_takes_is_not_sent() {
    let stage = Stage::new("gitlab/status").await;
    let short = stage.vcs.set_status("6dcb09b5", &status(State::Success)).await.unwrap_err();
    assert!(stage.told(&short).contains("full commit id"), "{short}");
    let long_url = format!("https://ci.example.com/{}", "a".repeat(255));
    let long = CommitStatus { target_url: Some(long_url), ..status(State::Success) };
    let long = stage.vcs.set_status(COMMIT, &long).await.unwrap_err();
    assert!(matches!(long, VcsError::TooLong { length: 278, limit: 255, .. }), "{long:?}");
}

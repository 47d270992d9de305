//! One comment of a tag, kept up to date.

use common::vcs::{Change, Posted, VcsError};

use crate::stage::{PULL_REQUEST, Stage, on, on_each};

/// What came of it, in short.
async fn upsert(stage: &Stage) -> (u64, Change, usize) {
    let Posted { comment, change, others } = stage.vcs.upsert(PULL_REQUEST, &stage.tag, "hello").await.unwrap();
    assert_eq!(comment.body.replace("\r\n", "\n"), stage.marked("hello"));
    (comment.id, change, others)
}

#[tokio::test]
async fn where_there_is_no_comment_one_is_written() {
    on_each("upsert_creates", async |stage: &Stage| assert_eq!(upsert(stage).await, (501, Change::Created, 0))).await;
}

#[tokio::test]
async fn the_first_of_two_is_updated_and_the_other_is_told() {
    on_each("upsert_updates", async |stage: &Stage| assert_eq!(upsert(stage).await, (501, Change::Updated, 1))).await;
}

#[tokio::test]
async fn a_comment_that_has_the_text_is_left_alone() {
    on_each("upsert_unchanged", async |stage: &Stage| assert_eq!(upsert(stage).await, (501, Change::Unchanged, 0)))
        .await;
}

#[tokio::test]
async fn a_comment_that_may_not_be_changed_or_is_gone_is_passed_over() {
    on_each("upsert_passes_over", async |stage: &Stage| assert_eq!(upsert(stage).await, (502, Change::Created, 2)))
        .await;
}

#[tokio::test]
async fn after_a_lost_answer_what_was_stored_is_found() {
    on_each("error_on_post_stored", async |stage: &Stage| assert_eq!(upsert(stage).await, (501, Change::Created, 0)))
        .await;
}

#[tokio::test]
async fn after_a_lost_answer_what_was_not_stored_is_written_again() {
    on_each("error_on_post_lost", async |stage: &Stage| assert_eq!(upsert(stage).await, (502, Change::Created, 0)))
        .await;
}

#[tokio::test]
async fn after_a_lost_answer_to_an_update_the_comment_is_looked_at() {
    on("github/cut_update", async |stage: &Stage| assert_eq!(upsert(stage).await, (501, Change::Unchanged, 0))).await;
}

#[tokio::test]
async fn a_host_that_loses_two_answers_is_not_asked_a_third_time() {
    on("github/unclear_twice", async |stage: &Stage| {
        let error = stage.vcs.upsert(PULL_REQUEST, &stage.tag, "hello").await.unwrap_err();
        assert!(matches!(error, VcsError::Unclear { .. }), "{error:?}");
        stage.told(&error);
    })
    .await;
}

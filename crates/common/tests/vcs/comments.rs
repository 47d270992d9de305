//! Single requests about comments.

use common::vcs::{Comment, Host, Subject, VcsError};

use crate::stage::{PULL_REQUEST, Stage, on, on_each};

#[tokio::test]
async fn a_comment_is_created() {
    on_each("create", async |stage: &Stage| {
        let comment = stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap();
        let (url, author) = match stage.host {
            Host::GitHub => ("https://git.example.com/octo/app/pull/7#issuecomment-501", "aws-exe-bot"),
            Host::GitLab => ("/group/sub/app/-/merge_requests/7#note_501", "project_5_bot"),
            Host::Bitbucket => ("https://bitbucket.org/team/app/pull-requests/7/_/diff#comment-501", "aws-exe"),
        };
        assert!(comment.url.as_ref().is_some_and(|shown| shown.ends_with(url)), "{comment:?}");
        let expected =
            Comment { id: 501, url: comment.url.clone(), author: Some(author.to_owned()), body: stage.marked("hello") };
        assert_eq!(comment, expected);
    })
    .await;
}

#[tokio::test]
async fn a_comment_is_updated() {
    on_each("update", async |stage: &Stage| {
        let comment = stage.vcs.update(PULL_REQUEST, 501, &stage.tag, "hello again").await.unwrap();
        assert_eq!((comment.id, comment.body), (501, stage.marked("hello again")));
    })
    .await;
}

#[tokio::test]
async fn a_comment_is_deleted() {
    on_each("delete", async |stage: &Stage| assert!(stage.vcs.delete(PULL_REQUEST, 501).await.unwrap())).await;
}

#[tokio::test]
async fn deleting_what_is_gone_is_no_error() {
    on_each("delete_gone", async |stage: &Stage| assert!(!stage.vcs.delete(PULL_REQUEST, 501).await.unwrap())).await;
    on("bitbucket/deleted_comment", async |stage: &Stage| {
        assert!(!stage.vcs.delete(PULL_REQUEST, 501).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn what_may_not_be_deleted_is_not_taken_for_gone() {
    on_each("delete_not_allowed", async |stage: &Stage| {
        let error = stage.vcs.delete(PULL_REQUEST, 501).await.unwrap_err();
        assert!(matches!(error, VcsError::Refused { status: 403, .. }), "{error:?}");
        stage.told(&error);
    })
    .await;
}

/// The first page has a quotation, a marker inside a text, GitLab's own note and Bitbucket's deleted comment, none of
/// which count.
#[tokio::test]
async fn a_comment_is_found_on_the_second_page() {
    on_each("find_on_page_2", async |stage: &Stage| {
        let found = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap();
        let ids: Vec<u64> = found.iter().map(|comment| comment.id).collect();
        assert_eq!(ids, [141], "{found:?}");
        assert_eq!(found[0].body, stage.marked("ours"));
    })
    .await;
}

#[tokio::test]
async fn a_link_of_gitlab_is_followed_where_no_number_is_given() {
    on("gitlab/find_by_link", async |stage: &Stage| {
        assert_eq!(stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap()[0].id, 141);
    })
    .await;
}

#[tokio::test]
async fn there_may_be_no_comment() {
    on_each("find_none", async |stage: &Stage| {
        assert_eq!(stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap(), []);
    })
    .await;
}

/// On GitLab a line that begins with `/` is a command, so it is sent with a blank before it.
#[tokio::test]
async fn issues_have_comments_as_well() {
    on("github/issue", async |stage: &Stage| {
        let comment = stage.vcs.create(Subject::Issue(9), &stage.tag, "done\r\n/close").await.unwrap();
        assert_eq!(comment.id, 77);
    })
    .await;
    on("gitlab/issue", async |stage: &Stage| {
        let comment = stage.vcs.create(Subject::Issue(9), &stage.tag, "done\r/close\r\n/merge").await.unwrap();
        assert!(comment.url.unwrap().ends_with("/group/sub/app/-/issues/9#note_77"));
    })
    .await;
}

#[tokio::test]
async fn a_person_is_shown_by_email_and_token_at_bitbucket() {
    let stage = Stage::with_token("bitbucket/basic", "me@example.com:canary-7f3a91c2e5").await;
    assert_eq!(stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap(), []);
    stage.done();
    let stage = Stage::with_token("bitbucket/forbidden", "me@example.com:canary-7f3a91c2e5").await;
    let error = stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap_err();
    assert!(stage.told(&error).contains("You sent `…`"), "{error}");
    stage.done();
}

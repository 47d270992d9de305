//! What hosts refuse, and hosts that are busy, broken or not to be trusted. No error holds the token.

use std::time::Duration;

use common::vcs::{self, Host, Options, Repository, Subject, VcsError};

use crate::stage::{HOSTS, PULL_REQUEST, Stage, on, on_each};

#[tokio::test]
async fn a_wrong_token_is_refused_and_the_error_says_what_it_needs() {
    on_each("unauthorized", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        assert!(matches!(error, VcsError::Refused { status: 401, .. }), "{error:?}");
        let (subject, needs) = match stage.host {
            Host::GitHub => ("pull request 7 of `octo/app`", "`Pull requests` or `Issues`: write"),
            Host::GitLab => ("merge request 7 of `group/sub/app`", "the scope `api`"),
            Host::Bitbucket => ("pull request 7 of `team/app`", "`pullrequest:write`"),
        };
        let told = stage.told(&error);
        assert!(told.starts_with(&format!("find the comment on {subject}: 127.0.0.1:")), "{told}");
        assert!(told.contains(needs) && told.contains("expired"), "{told}");
    })
    .await;
}

/// The host's answer repeats the token.
#[tokio::test]
async fn a_token_without_the_permission_is_refused_and_not_told() {
    on_each("forbidden", async |stage: &Stage| {
        let error = stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap_err();
        assert!(matches!(error, VcsError::Refused { status: 403, .. }), "{error:?}");
        assert!(stage.told(&error).contains("ou sent `…`"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_or_hidden_is_not_found() {
    on_each("not_found", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        assert!(matches!(error, VcsError::NotFound { .. }), "{error:?}");
        assert!(stage.told(&error).contains("hides it from this token"), "{error}");
    })
    .await;
    on("github/deleted_issue", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        assert!(stage.told(&error).contains("This issue was deleted"), "{error}");
    })
    .await;
}

/// GitHub by the time that its limit begins anew, GitLab by `Retry-After`, Bitbucket without a word.
#[tokio::test]
async fn a_busy_host_is_waited_for() {
    on_each("rate_limit", async |stage: &Stage| {
        assert_eq!(stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap().id, 501);
    })
    .await;
}

#[tokio::test]
async fn a_host_that_stays_busy_is_waited_for_a_minute() {
    on("github/busy", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        let told = stage.told(&error);
        let VcsError::Busy { pause, waited, .. } = error else { panic!("{error:?}") };
        assert_eq!((pause, waited), (Some(Duration::from_secs(25)), Duration::from_secs(50)));
        assert!(told.ends_with("asks to wait for 25 s, and 50 s were waited already"), "{told}");
    })
    .await;
    for (case, seconds) in [("github/busy_for_long", 3_600), ("github/busy_forever", u64::MAX)] {
        on(case, async |stage: &Stage| {
            let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
            stage.told(&error);
            let VcsError::Busy { pause, waited, .. } = error else { panic!("{error:?}") };
            assert_eq!((pause, waited), (Some(Duration::from_secs(seconds)), Duration::ZERO));
        })
        .await;
    }
}

#[tokio::test]
async fn a_question_is_asked_again() {
    on_each("error_on_get", async |stage: &Stage| {
        assert_eq!(stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap().len(), 1);
    })
    .await;
    on("github/down", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        assert!(matches!(error, VcsError::Unreachable { .. }), "{error:?}");
        assert!(stage.told(&error).contains("can't be reached: it answers 503"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_again() {
    for case in ["github/cut_create", "github/unreadable_comment"] {
        on(case, async |stage: &Stage| {
            let error = stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap_err();
            assert!(matches!(error, VcsError::Unclear { .. }), "{error:?}");
            assert!(stage.told(&error).contains("is not known"), "{error}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_next_page_at_another_host_does_not_get_the_token() {
    on_each("next_elsewhere", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        assert!(matches!(&error, VcsError::Elsewhere { to, .. } if to == "evil.example"), "{error:?}");
        stage.told(&error);
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_moved_is_told_and_not_followed() {
    on("github/moved", async |stage: &Stage| {
        let error = stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap_err();
        assert!(
            matches!(&error, VcsError::Moved { to: Some(to), .. } if to.contains("/repositories/1300192")),
            "{error:?}"
        );
        stage.told(&error);
    })
    .await;
}

#[tokio::test]
async fn what_a_host_says_is_repeated() {
    on("github/too_long", async |stage: &Stage| {
        let error = stage.vcs.create(PULL_REQUEST, &stage.tag, "hello").await.unwrap_err();
        assert!(matches!(error, VcsError::Other { status: 422, .. }), "{error:?}");
        assert!(stage.told(&error).contains("Body is too long (maximum is 65536 characters)"), "{error}");
    })
    .await;
    on("github/unreadable_page", async |stage: &Stage| {
        let error = stage.vcs.find(PULL_REQUEST, &stage.tag).await.unwrap_err();
        assert!(stage.told(&error).contains("not what is documented"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_text_that_is_too_long_is_not_sent() {
    for (host, limit) in HOSTS.into_iter().zip([65_536, 1_000_000, 32_767]) {
        let stage = Stage::new(&format!("{host}/create")).await;
        let longest = stage.vcs.longest_text(&stage.tag);
        assert_eq!(longest + stage.marked("").chars().count(), limit);
        let error = stage.vcs.upsert(PULL_REQUEST, &stage.tag, &"é".repeat(longest + 1)).await.unwrap_err();
        assert!(matches!(error, VcsError::TooLong { .. }), "{error:?}");
        assert!(stage.told(&error).contains(&format!("{} characters", limit + 1)), "{error}");
    }
}

#[tokio::test]
async fn bitbucket_has_no_issues_and_no_host_a_number_zero() {
    let stage = Stage::new("bitbucket/create").await;
    let error = stage.vcs.upsert(Subject::Issue(3), &stage.tag, "hello").await.unwrap_err();
    assert!(stage.told(&error).contains("Atlassian removed issues"), "{error}");
    for host in HOSTS {
        let stage = Stage::new(&format!("{host}/create")).await;
        let error = stage.vcs.delete(Subject::PullRequest(0), 1).await.unwrap_err();
        assert!(stage.told(&error).contains("numbers begin at 1"), "{error}");
    }
}

#[test]
fn a_token_is_needed_and_looks_like_one() {
    let connect = |token: Option<&str>| {
        let repository = Repository::parse("git@gitlab.com:group/project.git").unwrap();
        vcs::connect(repository, token.map(Into::into), Options::default()).map(drop)
    };
    for token in [None, Some(""), Some(" \n")] {
        let error = connect(token).unwrap_err();
        assert!(matches!(error, VcsError::NoToken { .. }), "{error:?}");
        assert!(error.to_string().contains("find a token for GitLab"), "{error}");
    }
    for token in ["canary two", "canary\nx-other: y", "canäry"] {
        let error = connect(Some(token)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(token), "{error}");
    }
    connect(Some(" canary\n")).unwrap();
}

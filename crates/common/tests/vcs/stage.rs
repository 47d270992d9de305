//! A host with a recording, and a client that is connected to it.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::{
    clock::Clock,
    vcs::{self, CommitStatus, Host, Options, Repository, State, Subject, Tag, Vcs, VcsError},
};

use crate::{
    recording::Recording,
    server::{Rules, Server},
};

/// A token that is looked for wherever it must not be.
pub(crate) const TOKEN: &str = "canary-7f3a91c2e5";

/// The commit whose status is set.
pub(crate) const COMMIT: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

pub(crate) const PULL_REQUEST: Subject = Subject::PullRequest(7);

/// All hosts, by the folder of their recordings.
pub(crate) const HOSTS: [&str; 3] = ["github", "gitlab", "bitbucket"];

/// One play of a recording.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) vcs: Vcs,
    pub(crate) tag: Tag,
    server: Server,
    token: String,
}

impl Stage {
    /// `github/create` and such.
    pub(crate) async fn new(name: &str) -> Self {
        Self::with_token(name, TOKEN).await
    }

    pub(crate) async fn with_token(name: &str, token: &str) -> Self {
        let mut server = Server::bind().await;
        let folder = name.split('/').next().unwrap();
        let host: Host = folder.parse().unwrap();
        let (base, repo, accept) = match host {
            Host::GitHub => ("/api/v3", "https://git.example.com/octo/app", "application/vnd.github+json"),
            Host::GitLab => ("/api/v4", "git@git.example.com:group/sub/app.git", "application/json"),
            Host::Bitbucket => ("/2.0", "https://bitbucket.org/team/app", "application/json"),
        };
        let mut headers = vec![("accept", accept.to_owned())];
        match host {
            Host::GitHub => headers.push(("x-github-api-version", "2022-11-28".to_owned())),
            Host::GitLab | Host::Bitbucket => {}
        }
        match host {
            Host::GitLab => headers.extend([("private-token", token.to_owned()), ("authorization", String::new())]),
            Host::Bitbucket if token.contains(':') => {
                headers.push(("authorization", format!("Basic {}", BASE64_STANDARD.encode(token))));
            }
            Host::GitHub | Host::Bitbucket => headers.push(("authorization", format!("Bearer {token}"))),
        }
        let api = format!("{}{base}", server.address());
        let tag = Tag::new("deploy production").unwrap();
        let placeholders = [("{api}", api.as_str()), ("{marker}", &tag.marker()), ("{token}", token)];
        server.play(Recording::read(name, &placeholders), Rules { headers, base, token: token.to_owned() });
        let repository = Repository::on(host, &api, repo).unwrap();
        // A minute's wait takes six milliseconds.
        let options = Options { clock: Clock::sped_up(10_000), patience: Duration::from_secs(20) };
        let vcs = vcs::connect(repository, Some(token.into()), options).unwrap();
        Self { host, vcs, tag, server, token: token.to_owned() }
    }

    /// The text that a comment is stored with.
    pub(crate) fn marked(&self, text: &str) -> String {
        format!("{}\n\n{text}", self.tag.marker())
    }

    /// An error that says nothing of the token, in any form. Gives its text.
    #[track_caller]
    pub(crate) fn told(&self, error: &VcsError) -> String {
        let told = format!("{error} {error:?} {:?} {:?}", self.vcs, self.vcs.repository());
        let secret = self.token.rsplit(':').next().unwrap();
        for form in [secret, &self.token, &BASE64_STANDARD.encode(&self.token)] {
            assert!(!told.contains(form), "the token: {told}");
        }
        error.to_string()
    }

    /// Ends, and holds that all of the recording was played.
    pub(crate) fn done(self) {
        self.server.done();
    }
}

/// Plays a recording of each host's. A play that hangs ends and says which.
pub(crate) async fn on_each(case: &str, act: impl AsyncFn(&Stage)) {
    for host in HOSTS {
        on(&format!("{host}/{case}"), &act).await;
    }
}

/// Plays one recording.
pub(crate) async fn on(name: &str, act: impl AsyncFn(&Stage)) {
    let play = async {
        let stage = Stage::new(name).await;
        act(&stage).await;
        stage.done();
    };
    tokio::time::timeout(Duration::from_secs(120), play).await.unwrap_or_else(|_| panic!("{name} hangs"));
}

pub(crate) fn status(state: State) -> CommitStatus {
    CommitStatus {
        context: "aws-exe/deploy".to_owned(),
        state,
        description: "3 of 3 orders succeeded".to_owned(),
        target_url: Some("https://ci.example.com/runs/{run}".to_owned()),
    }
}

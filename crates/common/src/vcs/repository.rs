//! Which repository, at which host, and where that host's API is.

use std::{fmt, str::FromStr};

use url::{Host as UrlHost, Url};

use super::VcsError;
use crate::{
    git::{self, GitError, GitSource},
    text::shown,
};

/// A kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// github.com, GitHub Enterprise Cloud and Server.
    GitHub,
    /// gitlab.com, and GitLab that somebody runs.
    GitLab,
    /// Bitbucket Cloud. Bitbucket Data Center has another API and is not meant.
    Bitbucket,
}

impl Host {
    const ALL: [Self; 3] = [Self::GitHub, Self::GitLab, Self::Bitbucket];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Bitbucket => "Bitbucket Cloud",
        }
    }

    /// The host that everybody can use, as jobs name it.
    fn public(self) -> &'static str {
        match self {
            Self::GitHub => "github.com",
            Self::GitLab => "gitlab.com",
            Self::Bitbucket => "bitbucket.org",
        }
    }

    /// The API of that host.
    pub fn public_api(self) -> &'static str {
        match self {
            // https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
            Self::GitHub => "https://api.github.com",
            // https://docs.gitlab.com/api/rest/
            Self::GitLab => "https://gitlab.com/api/v4",
            // https://developer.atlassian.com/cloud/bitbucket/rest/intro/
            Self::Bitbucket => "https://api.bitbucket.org/2.0",
        }
    }
}

impl FromStr for Host {
    type Err = VcsError;

    /// `github`, `gitlab` or `bitbucket`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "github" => Ok(Self::GitHub),
            "gitlab" => Ok(Self::GitLab),
            "bitbucket" => Ok(Self::Bitbucket),
            _ => Err(bad(format!("`{}` as a provider", shown(text)), "it is none of `github`, `gitlab`, `bitbucket`")),
        }
    }
}

/// A repository at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    host: Host,
    /// Where the API is, without a slash at the end.
    api: Url,
    /// The parts of its name: two, or more where groups nest.
    path: Vec<String>,
}

impl Repository {
    /// A repository as jobs name it in `git_repo`, on github.com, gitlab.com or bitbucket.org: `org/repo` (GitHub), an
    /// https or ssh URL, or `git@host:path`.
    pub fn parse(repo: &str) -> Result<Self, VcsError> {
        let (authority, path) = located(repo, Host::ALL.iter().map(|host| host.public().to_owned()).collect())?;
        let host = Host::ALL.into_iter().find(|host| host.public() == authority);
        let host = host.ok_or_else(|| unknown_host(repo, &authority))?;
        Self::at(host, host.public_api(), path, repo)
    }

    /// A repository of a host that somebody runs: what its kind is, and where its API is, is said by hand
    /// (`https://HOST/api/v3` for GitHub Enterprise Server, `https://HOST/api/v4` for GitLab). `org/repo` alone is at
    /// that host too. The token goes to that API and to no other place.
    pub fn on(host: Host, api: &str, repo: &str) -> Result<Self, VcsError> {
        // As [`git::check`] compares them in full, a wrong guess here is refused there.
        let authority = authority_of(repo).unwrap_or_else(|| host.public().to_owned());
        let (_, path) = located(repo, vec![authority, Host::GitHub.public().to_owned()])?;
        Self::at(host, api, path, repo)
    }

    fn at(host: Host, api: &str, path: String, repo: &str) -> Result<Self, VcsError> {
        let path: Vec<String> = path.strip_suffix(".git").unwrap_or(&path).split('/').map(str::to_owned).collect();
        let as_repository = || format!("`{}` as a repository of {}", shown(repo), host.name());
        // Only such names exist at the three hosts, and only they may stand in a path as they are.
        let is_plain = |part: &String| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !path.iter().all(is_plain) {
            return Err(bad(as_repository(), "its name has characters that no repository there has"));
        }
        match host {
            Host::GitLab if path.len() < 2 => return Err(bad(as_repository(), "it is not a group and a project")),
            Host::GitHub | Host::Bitbucket if path.len() != 2 => {
                return Err(bad(as_repository(), "it is not an owner and a repository"));
            }
            _ => {}
        }
        Ok(Self { host, api: checked_api(api)?, path })
    }

    /// What kind of host it is at.
    pub fn host(&self) -> Host {
        self.host
    }

    /// Its name at the host, `org/repo`.
    pub fn name(&self) -> String {
        self.path.join("/")
    }

    /// Where the API is; a next page is below it as well.
    pub(super) fn api(&self) -> &Url {
        &self.api
    }

    /// The name of the API's host, with its port where that is not the usual one: what messages call the host.
    pub(super) fn authority(&self) -> String {
        let host = self.api.host_str().unwrap_or_default();
        self.api.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The URL of a part of the API. The path is encoded already.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// The host, with its port where that is not the usual one, and the path of what a job may name.
fn located(repo: &str, hosts: Vec<String>) -> Result<(String, String), VcsError> {
    let rules = git::Rules { hosts, local_sources: false };
    let remote =
        git::check(&GitSource { repo: repo.to_owned(), commit: None }, &rules).map_err(|error| match error {
            GitError::HostNotAllowed(host) => unknown_host(repo, &host),
            GitError::BadRepo { repo, reason } => bad(format!("`{repo}` as a repository"), reason),
            error => bad("this as a repository".to_owned(), &error.to_string()),
        })?;
    let url = Url::parse(remote.url()).map_err(|error| bad(format!("`{}`", shown(repo)), &error.to_string()))?;
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok((authority, url.path().trim_matches('/').to_owned()))
}

/// Host and port as they stand in a repository's name, if they do.
fn authority_of(repo: &str) -> Option<String> {
    let (login, usual) = match repo.split_once("://") {
        Some((scheme, rest)) => {
            (rest.split('/').next()?, if scheme.eq_ignore_ascii_case("ssh") { ":22" } else { ":443" })
        }
        None => (repo.split_once(':')?.0, ":22"),
    };
    let authority = login.rsplit_once('@').map_or(login, |(_, authority)| authority).to_ascii_lowercase();
    Some(authority.strip_suffix(usual).unwrap_or(&authority).to_owned())
}

/// The address of an API. The token goes there, so the way must be encrypted unless it does not leave the machine.
fn checked_api(api: &str) -> Result<Url, VcsError> {
    let bad = |reason: &str| bad(format!("`{}` as the address of an API", shown(&without_login(api))), reason);
    let url = Url::parse(api.trim_end_matches('/')).map_err(|_| bad("it is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it has a user or a password; the token is given by itself"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has a query or a fragment"));
    }
    let on_this_machine = match url.host() {
        Some(UrlHost::Ipv4(address)) => address.is_loopback(),
        Some(UrlHost::Ipv6(address)) => address.is_loopback(),
        Some(UrlHost::Domain(name)) => name == "localhost",
        None => return Err(bad("it has no host")),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if on_this_machine => Ok(url),
        _ => Err(bad("it does not begin with `https://`, and the token would be sent for all to read")),
    }
}

/// What stands before an `@` may be a password.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

fn unknown_host(repo: &str, host: &str) -> VcsError {
    let reason = format!(
        "`{host}` is none of github.com, gitlab.com and bitbucket.org; name the provider and the address of its API"
    );
    // A login may stand before an `@`.
    let repo = repo.rsplit_once('@').map_or(repo, |(_, rest)| rest);
    bad(format!("`{}` as a repository", shown(repo)), &reason)
}

pub(super) fn bad(what: String, reason: &str) -> VcsError {
    VcsError::BadInput { what, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_jobs_name_is_found_at_its_host() {
        let table = [
            ("org/repo", Host::GitHub, "org/repo"),
            ("org/repo.git", Host::GitHub, "org/repo"),
            ("https://github.com/Org/Repo.js", Host::GitHub, "Org/Repo.js"),
            ("https://GitHub.com/org/repo.git", Host::GitHub, "org/repo"),
            ("https://github.com/org/repo/", Host::GitHub, "org/repo"),
            ("ssh://git@github.com/org/repo.git", Host::GitHub, "org/repo"),
            ("ssh://git@github.com:22/org/repo.git", Host::GitHub, "org/repo"),
            ("git@github.com:org/repo.git", Host::GitHub, "org/repo"),
            ("https://gitlab.com/group/project", Host::GitLab, "group/project"),
            ("git@gitlab.com:group/sub/deeper/project.git", Host::GitLab, "group/sub/deeper/project"),
            ("https://bitbucket.org/workspace/repo", Host::Bitbucket, "workspace/repo"),
            ("git@bitbucket.org:workspace/repo.git", Host::Bitbucket, "workspace/repo"),
        ];
        for (repo, host, name) in table {
            let repository = Repository::parse(repo).unwrap_or_else(|error| panic!("{repo}: {error}"));
            assert_eq!((repository.host(), repository.name().as_str()), (host, name), "{repo}");
            assert_eq!(repository.api().as_str().trim_end_matches('/'), host.public_api());
        }
    }

    #[test]
    fn what_is_no_repository_of_a_known_host_is_refused() {
        let table = [
            ("", "empty"),
            ("repo", "org/repo"),
            ("a/b/c", "org/repo"),
            ("/srv/repo", "local use"),
            ("file:///srv/repo", "local use"),
            ("https://github.com/org", "an owner and a repository"),
            ("https://github.com/org/repo/tree/main", "an owner and a repository"),
            ("https://bitbucket.org/a/b/c", "an owner and a repository"),
            ("https://gitlab.com/project", "a group and a project"),
            ("https://gitlab.com/group/project/-/merge_requests/1", "not a plain one"),
            ("https://github.com/org/re%2Fpo", "characters"),
            ("https://gitlab.com/group/~project", "characters"),
            ("https://github.com:8443/org/repo", "name the provider"),
            ("https://git.example.com/org/repo", "name the provider"),
            ("https://github.com.evil.example/org/repo", "name the provider"),
            ("http://github.com/org/repo", "https and ssh"),
        ];
        for (repo, part) in table {
            let told = Repository::parse(repo).map(drop).expect_err(repo).to_string();
            assert!(told.starts_with("use `") && told.contains(part), "{repo}: {told}");
        }
    }

    #[test]
    fn a_login_in_a_url_is_not_told() {
        for repo in ["https://me:hunter2@github.com/a/b", "https://me:hunter2@git.example.com/a/b"] {
            for told in [Repository::parse(repo), Repository::on(Host::GitLab, "https://g.example/api/v4", repo)] {
                let told = told.unwrap_err();
                assert!(!format!("{told} {told:?}").contains("hunter2"), "{told:?}");
            }
        }
        let told = Repository::on(Host::GitLab, "https://me:hunter2@g.example/api/v4", "a/b").unwrap_err();
        assert!(!format!("{told} {told:?}").contains("hunter2"), "{told:?}");
    }

    #[test]
    fn a_host_that_somebody_runs_is_said_by_hand() {
        let table = [
            (Host::GitHub, "https://ghe.example.com/api/v3", "https://ghe.example.com/org/repo", "org/repo"),
            (Host::GitHub, "https://ghe.example.com/api/v3/", "git@ghe.example.com:org/repo.git", "org/repo"),
            (Host::GitHub, "https://api.corp.ghe.com", "https://corp.ghe.com/org/repo", "org/repo"),
            (Host::GitLab, "https://git.example.com:8443/api/v4", "https://git.example.com:8443/a/b/c", "a/b/c"),
            (Host::GitLab, "https://git.example.com/api/v4", "ssh://git@ssh.example.com:2222/a/b/c.git", "a/b/c"),
            (Host::GitLab, "https://example.com/gitlab/api/v4", "group/project", "group/project"),
            (Host::GitHub, "http://127.0.0.1:1234", "org/repo", "org/repo"),
            (Host::GitHub, "http://[::1]:1234", "HTTPS://GHE.example.com/org/repo", "org/repo"),
        ];
        for (host, api, repo, name) in table {
            let repository = Repository::on(host, api, repo).unwrap_or_else(|error| panic!("{repo}: {error}"));
            assert_eq!((repository.host(), repository.name().as_str()), (host, name), "{repo}");
            assert_eq!(repository.url("/user"), format!("{}/user", api.trim_end_matches('/')), "{api}");
        }
    }

    #[test]
    fn the_address_of_an_api_keeps_the_token_safe() {
        let table = [
            ("http://git.example.com/api/v4", "for all to read"),
            ("http://127.0.0.1.example.com/api/v4", "for all to read"),
            ("ftp://127.0.0.1/", "for all to read"),
            ("https://token@git.example.com/api/v4", "a user or a password"),
            ("https://git.example.com/api/v4?private_token=x", "a query"),
            ("https://git.example.com/api/v4#x", "a fragment"),
            ("git.example.com", "not a URL"),
            ("", "not a URL"),
        ];
        for (api, part) in table {
            let told = Repository::on(Host::GitLab, api, "a/b").map(drop).expect_err(api).to_string();
            assert!(told.contains(part), "{api}: {told}");
        }
    }

    #[test]
    fn providers_are_named_in_lower_case() {
        for (text, host) in [("github", Host::GitHub), ("gitlab", Host::GitLab), ("bitbucket", Host::Bitbucket)] {
            assert_eq!(text.parse::<Host>().unwrap(), host);
        }
        assert!("GitHub".parse::<Host>().is_err());
    }

    fn part() -> impl Strategy<Value = String> {
        "[A-Za-z0-9_][A-Za-z0-9._-]{0,10}".prop_filter("a suffix of git's", |part| part.strip_suffix(".git").is_none())
    }

    proptest! {
        #[test]
        fn each_way_to_name_a_repository_means_the_same(
            host in 0_usize..3,
            groups in prop::collection::vec(part(), 1..4),
            name in part(),
        ) {
            let host = Host::ALL[host];
            let groups = if host == Host::GitLab { groups } else { groups[..1].to_vec() };
            let path = format!("{}/{name}", groups.join("/"));
            let public = host.public();
            let ways = [
                format!("https://{public}/{path}"),
                format!("https://{public}/{path}.git"),
                format!("ssh://git@{public}/{path}"),
                format!("git@{public}:{path}.git"),
            ];
            for way in ways {
                let repository = Repository::parse(&way).unwrap();
                prop_assert_eq!((repository.host(), repository.name()), (host, path.clone()), "{}", way);
                let by_hand = Repository::on(host, host.public_api(), &way).unwrap();
                prop_assert_eq!(by_hand, repository);
            }
        }

        #[test]
        fn nothing_panics_and_what_is_taken_is_plain(repo in "\\PC{0,60}", host in 0_usize..3) {
            let taken = [Repository::parse(&repo), Repository::on(Host::ALL[host], "https://git.example.com", &repo)];
            for repository in taken.into_iter().flatten() {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
                prop_assert!(repository.name().bytes().all(plain));
            }
        }
    }
}

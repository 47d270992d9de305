//! One commit of a remote into a folder.
//!
//! The commit alone is asked for (`fetch --depth 1`). That fails for abbreviated ids, which only whoever has the whole
//! history can resolve, and for ids on servers that give out nothing but branches and tags: then everything is fetched.
//! However much that is, it ends at the limits, and so does what a commit may put into the folder.

use std::{ffi::OsString, fs, path::Path};

use secrecy::SecretString;

use super::{
    Auth, GitError, Limits, Remote,
    process::{Ended, Git},
    shown, size,
    source::{Place, Way},
};

/// Checks the remote's commit out into `into`, which is made and should be empty, and returns its full id.
///
/// What runs when a limit is reached is killed, and so it is when the future is dropped.
pub async fn fetch(remote: &Remote, auth: &Auth, into: &Path, limits: Limits) -> Result<String, GitError> {
    let all = async {
        let mut last = None;
        for (git, url) in ways(remote, auth)? {
            match fetch_by(&git, &url, remote.commit(), into, limits).await {
                // A repository that a token may not see is often reported as missing.
                Err(error @ (GitError::AccessRefused { .. } | GitError::RepositoryNotFound { .. })) => {
                    last = Some(error);
                }
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| GitError::AccessRefused {
            url: remote.url().to_owned(),
            said: "it needs a token or an SSH key".to_owned(),
        }))
    };
    let late = |_| GitError::Timeout { url: remote.url().to_owned(), limit: limits.time };
    tokio::time::timeout(limits.time, all).await.map_err(late)?
}

/// How to get at the remote with these secrets, best first.
fn ways(remote: &Remote, auth: &Auth) -> Result<Vec<(Git, String)>, GitError> {
    let Place::Host { named, https, ssh } = &remote.place else {
        return Ok(vec![(Git::local()?, remote.url().to_owned())]);
    };
    let (token, key): (Option<&SecretString>, Option<&SecretString>) = match auth {
        Auth::None => (None, None),
        Auth::Token(token) => (Some(token), None),
        Auth::SshKey(key) => (None, Some(key)),
        Auth::TokenThenSshKey(token, key) => (Some(token), Some(key)),
    };
    let mut ways = Vec::new();
    // Without any secret, https may still show a public repository.
    let anonymous = *named == Way::Https && (key.is_none() || ssh.is_none());
    if let Some(url) = https.as_ref().filter(|_| token.is_some() || anonymous) {
        ways.push((Git::https(url, token)?, url.clone()));
    }
    if let Some((url, key)) = ssh.as_ref().zip(key) {
        ways.push((Git::ssh(key)?, url.clone()));
    }
    Ok(ways)
}

async fn fetch_by(git: &Git, url: &str, commit: Option<&str>, into: &Path, limits: Limits) -> Result<String, GitError> {
    let id = tokio::select! {
        fetched = fetch_commit(git, url, commit, into) => fetched?,
        too_large = size::outgrown(into, url, limits) => return Err(too_large),
    };
    size::check(git, into, &id, url, limits).await?;
    demand(&git.run(into, ["checkout", "--quiet", "--force", "--detach", &id, "--"]).await?, url)?;
    Ok(id)
}

/// Makes the commit be in the repository of the folder; gives its full id.
async fn fetch_commit(git: &Git, url: &str, commit: Option<&str>, into: &Path) -> Result<String, GitError> {
    fs::create_dir_all(into).map_err(GitError::io("make the folder for the code"))?;
    demand(&git.run(into, ["init", "--quiet", "--template=", "--", "."]).await?, url)?;
    let wanted = commit.unwrap_or("HEAD");
    let one = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--depth", "1", "--", url, wanted];
    let ended = git.run(into, one).await?;
    let missing = || GitError::CommitNotFound { url: url.to_owned(), commit: shown(wanted) };
    let id = if ended.success {
        resolve(git, into, "FETCH_HEAD").await?
    } else if !lacks_commit(&ended) {
        return Err(failure(&ended, url));
    } else if is_id(wanted) {
        let everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        let all = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--", url];
        demand(&git.run(into, all.iter().chain(&everything)).await?, url)?;
        resolve(git, into, wanted).await?
    } else {
        None
    };
    id.ok_or_else(missing)
}

/// The full id of a commit that is here now.
async fn resolve(git: &Git, into: &Path, name: &str) -> Result<Option<String>, GitError> {
    let mut name = OsString::from(name);
    name.push("^{commit}");
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options"].map(OsString::from);
    let ended = git.run(into, arguments.into_iter().chain([name])).await?;
    Ok(Some(ended.stdout).filter(|id| ended.success && id.len() >= 40 && is_id(id)))
}

/// Whether a name may be a commit's id, shortened or in full; git takes no fewer than four digits.
fn is_id(name: &str) -> bool {
    (4..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn demand(ended: &Ended, url: &str) -> Result<(), GitError> {
    if ended.success { Ok(()) } else { Err(failure(ended, url)) }
}

fn lacks_commit(ended: &Ended) -> bool {
    ["couldn't find remote ref", "not our ref", "unadvertised object", "invalid refspec", "no such ref"]
        .iter()
        .any(|sign| ended.stderr.contains(sign))
}

/// What a failed run means. Git has one exit code for everything, so its words have to tell (`LC_ALL=C`).
fn failure(ended: &Ended, url: &str) -> GitError {
    let says = |signs: &[&str]| signs.iter().any(|sign| ended.stderr.contains(sign));
    let (url, said) = (url.to_owned(), ended.said.clone());
    if says(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "terminal prompts disabled",
        "permission denied",
        "invalid username or",
        "access denied",
        "error: 401",
        "error: 403",
    ]) {
        GitError::AccessRefused { url, said }
    } else if says(&["repository not found", "does not appear to be a git repository", "' not found", "does not exist"])
    {
        GitError::RepositoryNotFound { url, said }
    } else {
        GitError::Failed { url, said }
    }
}

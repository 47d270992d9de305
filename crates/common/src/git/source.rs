//! Which repositories, commits and folders may be named, and what they mean to git.

use std::path::{Path, PathBuf};

use url::Url;

use super::{GitError, GitSource, Rules, shown};
use crate::text::is_hidden;

/// Longest name of a repository, commit or folder: what git and file systems take without trouble.
const MAX_LENGTH: usize = 1_024;

/// A repository that may be fetched, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub(super) place: Place,
    pub(super) commit: Option<String>,
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On an allowed host. Either way of access may be used, whichever the job has the secret for.
    Host {
        /// The way that the job names.
        named: Way,
        /// Over https, unless it is named by an ssh user or port of its own.
        https: Option<String>,
        /// Over ssh, unless it is named by an https port of its own.
        ssh: Option<String>,
    },
    /// A folder of this machine.
    Folder(String),
}

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Https,
    Ssh,
}

impl Remote {
    /// The URL that stands for the repository, as the job names it but in full; holds no secret.
    pub fn url(&self) -> &str {
        match &self.place {
            Place::Host { named: Way::Https, https: Some(url), .. } | Place::Host { ssh: Some(url), .. } => url,
            Place::Host { https, .. } => https.as_deref().unwrap_or_default(),
            Place::Folder(path) => path,
        }
    }

    /// The commit, tag or branch asked for; the remote's HEAD when there is none.
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }
}

/// Decides whether a source may be fetched, and in what way; asks nobody.
pub fn check(source: &GitSource, rules: &Rules) -> Result<Remote, GitError> {
    let place = check_repo(&source.repo, rules)?;
    if let Some(commit) = &source.commit {
        check_commit(commit)?;
    }
    Ok(Remote { place, commit: source.commit.clone() })
}

fn check_repo(repo: &str, rules: &Rules) -> Result<Place, GitError> {
    let bad = |reason| GitError::BadRepo { repo: without_userinfo(repo), reason };
    if repo.is_empty() || repo.len() > MAX_LENGTH {
        return Err(bad("it is empty or too long"));
    }
    // A folder of this machine may have blanks in its name.
    if repo.chars().any(|c| c.is_control() || (c.is_whitespace() && !repo.starts_with('/'))) {
        return Err(bad("it has blanks or control characters"));
    }
    if repo.starts_with('-') {
        return Err(bad("it begins with `-`"));
    }
    if repo.contains("::") && !repo.starts_with('/') {
        return Err(bad("transport helpers (`::`) are not allowed"));
    }
    if repo.starts_with('/') || repo.starts_with("file:") {
        if !rules.local_sources {
            return Err(bad("paths and file URLs are for local use alone"));
        }
        return folder_of_machine(repo).map(Place::Folder).ok_or_else(|| bad("it is not an absolute path"));
    }
    // What a parser of URLs would rewrite, so that nobody sees what is fetched in the end.
    if !repo.bytes().all(|byte| is_path_byte(byte) || b":@?#".contains(&byte)) {
        return Err(bad("it has characters that no plain URL has"));
    }
    if repo.contains("://") {
        let url = Url::parse(repo).map_err(|_| bad("it is not a URL"))?;
        return from_url(&url, rules, bad);
    }
    if let Some((login, path)) = repo.split_once(':') {
        let (user, host) = login.split_once('@').ok_or_else(|| bad("it is neither `org/repo` nor a URL"))?;
        let url = format!("ssh://{user}@{host}/{}", path.trim_start_matches('/'));
        let url = Url::parse(&url).map_err(|_| bad("it is neither `org/repo` nor a URL"))?;
        return from_url(&url, rules, bad);
    }
    match repo.split('/').collect::<Vec<_>>()[..] {
        [organisation, name] if is_plain(organisation) && is_plain(name) => {
            let name = name.strip_suffix(".git").unwrap_or(name);
            let url = Url::parse(&format!("https://github.com/{organisation}/{name}.git"));
            from_url(&url.map_err(|_| bad("it is not `org/repo`"))?, rules, bad)
        }
        _ => Err(bad("it is neither `org/repo` nor a URL")),
    }
}

fn from_url(url: &Url, rules: &Rules, bad: impl Fn(&'static str) -> GitError) -> Result<Place, GitError> {
    let way = match url.scheme() {
        "https" => Way::Https,
        "ssh" => Way::Ssh,
        _ => return Err(bad("only https and ssh are allowed")),
    };
    if url.password().is_some() || (way == Way::Https && !url.username().is_empty()) {
        return Err(bad("a user or password in the URL is not allowed, use `git_token_location`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has a query or a fragment"));
    }
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    if !host.starts_with(|c: char| c.is_ascii_alphanumeric()) || !host.bytes().all(is_host_byte) {
        return Err(bad("it has no plain host name"));
    }
    let port = url.port().filter(|port| (way, *port) != (Way::Ssh, 22));
    let host_and_port = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    if !rules.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host_and_port)) {
        return Err(GitError::HostNotAllowed(shown(&host_and_port)));
    }
    let path = url.path().trim_matches('/');
    let plain_part = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with('-');
    if !path.split('/').all(plain_part) || !path.bytes().all(is_path_byte) {
        return Err(bad("its path is not a plain one"));
    }
    let user = if way == Way::Ssh && !url.username().is_empty() { url.username() } else { "git" };
    if !is_plain(user) {
        return Err(bad("its user is not a plain name"));
    }
    let usual = port.is_none() && user == "git";
    Ok(Place::Host {
        named: way,
        https: (way == Way::Https || usual).then(|| format!("https://{host_and_port}/{path}")),
        // Percent signs mean nothing to ssh, so a path that has one exists over https alone.
        ssh: (way == Way::Ssh || (usual && !path.contains('%')))
            .then(|| format!("ssh://{user}@{host_and_port}/{path}")),
    })
}

fn folder_of_machine(repo: &str) -> Option<String> {
    let path = if repo.starts_with('/') {
        PathBuf::from(repo)
    } else {
        let url = Url::parse(repo).ok()?;
        let local = url.query().is_none() && url.fragment().is_none();
        url.to_file_path().ok().filter(|_| local)?
    };
    let text = path.to_str()?;
    (path.is_absolute() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// A refused repository for its message: what stands before an `@` may be a password.
fn without_userinfo(repo: &str) -> String {
    match (repo.split_once("://"), repo.rsplit_once('@')) {
        (Some((scheme, rest)), Some((_, after))) if rest.contains('@') => shown(&format!("{scheme}://…@{after}")),
        _ => shown(repo),
    }
}

fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._~+%-".contains(&byte)
}

/// The rules of `git check-ref-format`, and no leading `-`.
fn check_commit(commit: &str) -> Result<(), GitError> {
    let bad = |reason| Err(GitError::BadCommit { commit: shown(commit), reason });
    if commit.is_empty() || commit.len() > MAX_LENGTH {
        return bad("it is empty or too long");
    }
    // A `+` would be read as an instruction to fetch.
    if commit.starts_with(['-', '+']) {
        return bad("it begins with `-` or `+`");
    }
    if commit.chars().any(|c| is_hidden(c) || c.is_whitespace() || "~^:?*[\\".contains(c)) {
        return bad("it has a character that git does not allow");
    }
    if commit == "@" || commit.contains("..") || commit.contains("@{") || commit.ends_with('.') {
        return bad("it is an expression or ends with a dot");
    }
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.strip_suffix(".lock").is_some();
    if commit.split('/').any(bad_part) {
        return bad("a part of it is empty, begins with a dot or ends with `.lock`");
    }
    Ok(())
}

/// Whether a text can be a folder inside a repository; the path without needless parts, empty for the root.
pub fn check_folder(folder: &str) -> Result<PathBuf, GitError> {
    let bad = |reason| Err(GitError::BadFolder { folder: shown(folder), reason });
    if folder.len() > MAX_LENGTH {
        return bad("it is too long");
    }
    if folder.chars().any(|c| is_hidden(c) || c == '\\') {
        return bad("it has a backslash or hidden characters");
    }
    if folder.starts_with('/') {
        return bad("it is absolute");
    }
    let mut path = PathBuf::new();
    for part in folder.split('/') {
        match part {
            "" | "." => {}
            ".." => return bad("it has a part `..`"),
            ".git" => return bad("it lies in the repository's own data"),
            part => path.push(part),
        }
    }
    Ok(path)
}

/// The folder below a checked out `root`, with links followed; an error when it is not there or lies outside.
pub fn enter_folder(root: &Path, folder: &str) -> Result<PathBuf, GitError> {
    let bad = |reason| GitError::BadFolder { folder: shown(folder), reason };
    let root = root.canonicalize().map_err(GitError::io("find the checked out repository"))?;
    let path = root.join(check_folder(folder)?).canonicalize().map_err(|_| bad("it does not exist"))?;
    if !path.starts_with(&root) {
        return Err(bad("it is a link that leads outside"));
    }
    if path.is_dir() { Ok(path) } else { Err(bad("it is not a folder")) }
}

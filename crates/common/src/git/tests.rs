//! Repositories on disk that are fetched for real, servers that refuse and hang, and names that must not reach git.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{process::Git, *};

const LONG: Limits = Limits { time: Duration::from_mins(2), ..Limits::SUBMISSION };

/// A repository with two commits on `main`, a branch, a tag on the first commit, and a hostile hook.
struct Origin {
    folder: TempDir,
    first: String,
    second: String,
}

impl Origin {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = |arguments: &[&str]| git(folder.path(), arguments);
        origin(&["init", "--quiet", "--initial-branch", "main"]);
        fs::create_dir(folder.path().join("app")).unwrap();
        fs::write(folder.path().join("app/file"), "one").unwrap();
        // A filter and a submodule that nobody may follow.
        fs::write(folder.path().join(".gitattributes"), "* filter=lfs\n").unwrap();
        fs::write(folder.path().join(".gitmodules"), "[submodule \"s\"]\npath = s\nurl = ../nowhere\n").unwrap();
        origin(&["add", "."]);
        origin(&["commit", "--quiet", "--message", "one"]);
        let first = origin(&["rev-parse", "HEAD"]);
        origin(&["tag", "--annotate", "--message", "t", "v1"]);
        origin(&["branch", "feature/x"]);
        fs::write(folder.path().join("app/file"), "two").unwrap();
        origin(&["commit", "--quiet", "--all", "--message", "two"]);
        let second = origin(&["rev-parse", "HEAD"]);
        Self { folder, first, second }
    }

    fn path(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    async fn fetch(&self, commit: Option<&str>) -> Result<(String, String, PathBuf), GitError> {
        let into = self.folder.path().join(".git/out").join(folder_for(commit));
        let id = fetch(&local(&self.path(), commit), &Auth::None, &into, LONG).await?;
        let content = fs::read_to_string(into.join("app/file")).unwrap();
        Ok((id, content, into))
    }
}

/// A folder name for what was asked.
fn folder_for(commit: Option<&str>) -> String {
    commit.unwrap_or("default").replace('/', "_")
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn source(repo: &str, commit: Option<&str>) -> GitSource {
    GitSource { repo: repo.to_owned(), commit: commit.map(str::to_owned) }
}

fn local(repo: &str, commit: Option<&str>) -> Remote {
    check(&source(repo, commit), &Rules { hosts: Vec::new(), local_sources: true }).unwrap()
}

fn deployed() -> Rules {
    Rules { hosts: vec!["github.com".to_owned(), "git.example.com:8443".to_owned()], local_sources: false }
}

#[tokio::test]
async fn the_commit_asked_for_is_checked_out() {
    let origin = Origin::new();
    let (first, second) = (origin.first.clone(), origin.second.clone());
    for (commit, id, content) in [
        (None, &second, "two"),
        (Some("main"), &second, "two"),
        (Some("feature/x"), &first, "one"),
        (Some("v1"), &first, "one"),
        (Some("refs/tags/v1"), &first, "one"),
        (Some(first.as_str()), &first, "one"),
        (Some(&first[..9]), &first, "one"),
        (Some(&second[..5]), &second, "two"),
    ] {
        let (got, text, into) = origin.fetch(commit).await.unwrap();
        assert_eq!((&got, text.as_str()), (id, content), "{commit:?}");
        assert!(!into.join(".git/hooks").exists(), "no template, so no hooks");
    }
    // Only the commit asked for came along.
    let (_, _, into) = origin.fetch(None).await.unwrap();
    assert_eq!(git(&into, &["rev-list", "--count", "--all", "HEAD"]), "1");
}

#[tokio::test]
async fn file_urls_are_paths() {
    let origin = Origin::new();
    let other = tempfile::tempdir().unwrap();
    let with_blank = other.path().join("my code");
    std::os::unix::fs::symlink(origin.folder.path(), &with_blank).unwrap();
    let with_blank = with_blank.to_str().unwrap();
    for repo in [format!("file://{}", origin.path()), with_blank.to_owned(), with_blank.replace(' ', "%20")] {
        let repo = if repo.contains('%') { format!("file://{repo}") } else { repo };
        let into = tempfile::tempdir().unwrap();
        assert_eq!(fetch(&local(&repo, Some("v1")), &Auth::None, into.path(), LONG).await.unwrap(), origin.first);
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let origin = Origin::new();
    for missing in ["nothing", "0123456789012345678901234567890123456789", "abcdef1", "v1.0"] {
        let error = origin.fetch(Some(missing)).await.unwrap_err();
        assert!(matches!(&error, GitError::CommitNotFound { commit, .. } if commit == missing), "{error}");
    }
    let into = tempfile::tempdir().unwrap();
    for nowhere in ["/nowhere/at/all", into.path().to_str().unwrap()] {
        let error = fetch(&local(nowhere, None), &Auth::None, &into.path().join("x"), LONG).await.unwrap_err();
        assert!(matches!(&error, GitError::RepositoryNotFound { url, .. } if url == nowhere), "{error}");
        assert!(!error.to_string().contains(char::is_control));
    }
    let ssh = check(&source("git@github.com:a/b", None), &deployed()).unwrap();
    let error = fetch(&ssh, &Auth::None, into.path(), LONG).await.unwrap_err();
    assert!(matches!(error, GitError::AccessRefused { .. }), "{error}");
    let error = fetch(&local("/nowhere", None), &Auth::None, into.path(), Limits { time: Duration::ZERO, ..LONG })
        .await
        .unwrap_err();
    assert!(matches!(error, GitError::Timeout { .. }), "{error}");
}

/// The head of the first request that a server gets; it answers `reply` and closes.
async fn answer_once(listener: TcpListener, reply: impl AsRef<str>) -> String {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    connection.write_all(reply.as_ref().as_bytes()).await.unwrap();
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_token_goes_to_its_server_and_nowhere_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/org/repo.git", listener.local_addr().unwrap());
    let refusal = "HTTP/1.1 403 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = tokio::spawn(answer_once(listener, refusal));
    let token = SecretString::from("canary-token-value\n");
    let git = Git::https(&url, Some(&token)).unwrap().speaking("http");
    let folder = tempfile::tempdir().unwrap();
    let ended = git.run(folder.path(), ["ls-remote", "--", &url]).await.unwrap();
    let head = server.await.unwrap();
    assert!(head.contains("Authorization: Basic eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5LXRva2VuLXZhbHVl\r\n"), "{head}");
    assert!(!ended.success && ended.stderr.contains("error: 403"), "{}", ended.said);
    for known in ["http://127.0.0.1:1/", "https://github.com/org/repo.git"] {
        let ended = git.run(folder.path(), ["config", "--get-urlmatch", "http.extraHeader", known]).await.unwrap();
        assert_eq!(ended.stdout, "", "another server would get the token");
    }
    // Even a git that repeats them is not heard.
    let ended =
        git.run(folder.path(), ["show", "x:canary-token-value", "eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5LXRva2VuLXZhbHVl"]);
    let said = ended.await.unwrap().said;
    assert!(!said.contains("canary") && !said.contains("eC1hY2Nlc3M"), "{said}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (named, other) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("http://{}/org/repo.git", named.local_addr().unwrap());
    let elsewhere = format!("http://{}/org/repo.git/info/refs", other.local_addr().unwrap());
    let reply =
        format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let server = tokio::spawn(answer_once(named, reply));
    let git = Git::https(&url, Some(&SecretString::from("canary-token"))).unwrap().speaking("http");
    let folder = tempfile::tempdir().unwrap();
    let ended = tokio::select! {
        ended = git.run(folder.path(), ["ls-remote", "--", &url]) => ended.unwrap(),
        _ = other.accept() => panic!("the other server is asked"),
    };
    assert!(!ended.success && ended.stderr.contains("302"), "{}", ended.said);
    server.await.unwrap();
}

#[tokio::test]
async fn everything_that_git_started_ends_with_the_fetch() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/org/repo.git", listener.local_addr().unwrap());
    let git = Git::https(&url, None).unwrap().speaking("http");
    let folder = tempfile::tempdir().unwrap();
    let mut connection = tokio::select! {
        connection = listener.accept() => connection.unwrap().0,
        ended = git.run(folder.path(), ["ls-remote", "--", &url]) => panic!("git ended: {}", ended.unwrap().said),
    };
    // The future is dropped now. The connection belongs to a child of git's; it closes because that was killed.
    let mut request = Vec::new();
    // A reset is as good an end as a close.
    drop(connection.read_to_end(&mut request).await);
}

#[tokio::test]
async fn other_protocols_are_not_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::https("https://github.com/a/b", None).unwrap();
    for url in ["ext::sh -c 'touch pwned'", "http://127.0.0.1:1/x", "file:///tmp", "/tmp"] {
        let ended = git.run(folder.path(), ["ls-remote", "--", url]).await.unwrap();
        assert!(ended.stderr.contains("not allowed"), "{url}: {}", ended.said);
    }
    assert!(!folder.path().join("pwned").exists());
}

#[tokio::test]
async fn a_few_objects_that_stand_for_millions_of_files_are_not_checked_out() {
    let bomb = tempfile::tempdir().unwrap();
    let origin = |arguments: &[&str]| git(bomb.path(), arguments);
    origin(&["init", "--quiet", "--initial-branch", "main"]);
    fs::write(bomb.path().join("f"), "x".repeat(1_000)).unwrap();
    let mut entry = format!("100644 blob {}", origin(&["hash-object", "-w", "f"]));
    // Each tree holds the one below ten times.
    for _ in 0..12 {
        let tree: Vec<String> = (0..10).map(|number| format!("{entry}\t{number}\n")).collect();
        fs::write(bomb.path().join("tree"), tree.concat()).unwrap();
        let made = Command::new("git")
            .arg("mktree")
            .current_dir(bomb.path())
            .stdin(fs::File::open(bomb.path().join("tree")).unwrap())
            .output()
            .unwrap();
        entry = format!("040000 tree {}", String::from_utf8(made.stdout).unwrap().trim());
    }
    let commit = origin(&["commit-tree", "-m", "bomb", entry.rsplit(' ').next().unwrap()]);
    origin(&["update-ref", "refs/heads/main", &commit]);
    let remote = local(bomb.path().to_str().unwrap(), None);
    let files = Limits { files: 99, ..LONG };
    let bytes = Limits { bytes: 1 << 20, files: u64::MAX, ..LONG };
    for (limits, reason) in
        [(files, "it has more than 99 files and folders"), (bytes, "its files have more than 1048576 bytes together")]
    {
        let into = tempfile::tempdir().unwrap();
        let error = fetch(&remote, &Auth::None, into.path(), limits).await.unwrap_err();
        assert!(matches!(&error, GitError::TooLarge { reason: told, .. } if told == reason), "{error}");
        let there: Vec<_> = fs::read_dir(into.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, [".git"]);
    }
}

#[tokio::test]
async fn an_ssh_key_is_a_private_file_while_it_is_used() {
    use std::os::unix::fs::PermissionsExt;
    let git = Git::ssh(&SecretString::from("-----BEGIN KEY-----\ncanary\n-----END KEY-----")).unwrap();
    let key = git.home().join("key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(git.home()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(fs::read_to_string(&key).unwrap().ends_with("KEY-----\n"));
    drop(git);
    assert!(!key.exists());
}

#[test]
fn repositories_have_one_url_for_each_way() {
    for (repo, url) in [
        ("org/repo", "https://github.com/org/repo.git"),
        ("org/repo.git", "https://github.com/org/repo.git"),
        ("https://GitHub.com/org/repo", "https://github.com/org/repo"),
        ("https://git.example.com:8443/a/b/c.git", "https://git.example.com:8443/a/b/c.git"),
        ("ssh://git@github.com/org/repo", "ssh://git@github.com/org/repo"),
        ("ssh://github.com:22/org/repo", "ssh://git@github.com/org/repo"),
        ("git@github.com:org/repo.git", "ssh://git@github.com/org/repo.git"),
    ] {
        let remote = check(&source(repo, None), &deployed()).unwrap();
        assert_eq!(remote.url(), url);
    }
}

#[test]
fn hostile_repositories_are_refused() {
    let hosts =
        ["evil.com", "github.com.evil.com", "127.0.0.1", "169.254.169.254", "github.com:8080", "gith\u{fc}b.com"];
    for host in hosts {
        for repo in [format!("https://{host}/a/b"), format!("ssh://git@{host}/a/b")] {
            let error = check(&source(&repo, None), &deployed()).expect_err(&repo);
            assert!(!repo.is_ascii() || matches!(error, GitError::HostNotAllowed(_)), "{repo}: {error}");
        }
    }
    let long = "a/".repeat(2_000);
    for repo in [
        "",
        "-u",
        "--upload-pack=touch pwned",
        "--upload-pack=x/y",
        "a/-b",
        "ext::sh -c id",
        "ext::sh",
        "fd::17",
        "http://github.com/a/b",
        "git://github.com/a/b",
        "file:///etc",
        "/etc",
        "../up",
        "a/..",
        "a/b/c",
        "a",
        "https://user:pass@github.com/a/b",
        "https://token@github.com/a/b",
        "ssh://git:pass@github.com/a/b",
        "ssh://-oProxyCommand=id@github.com/a/b",
        "ssh://-oProxyCommand=id/a/b",
        "-oProxyCommand=id@github.com:a/b",
        "git@-oProxyCommand=id:a/b",
        "git@github.com:-a/b",
        "git@github.com:",
        "git@github.com:a b",
        "git@github.com:a$(id)",
        "git@github.com:a;id",
        "https://github.com/a/../b\n",
        "https://github.com/a/b?x",
        "https://github.com/a/b#x",
        "https://github.com/",
        "https://github.com/a//b",
        "https://[::1]/a/b",
        "https://github.com/a/b'",
        "https:github.com/a/b\0",
        &long,
    ] {
        let error = check(&source(repo, None), &deployed()).expect_err(repo);
        assert!(matches!(error, GitError::BadRepo { .. } | GitError::HostNotAllowed(_)), "{repo}: {error}");
        let text = error.to_string();
        assert!(!text.contains(char::is_control) && !text.contains("pass@") && text.len() < 400, "{text}");
    }
}

#[test]
fn hostile_commits_are_refused() {
    let long = "a".repeat(5_000);
    for commit in [
        "",
        "-",
        "--upload-pack=id",
        "-u",
        "+main",
        "a..b",
        "HEAD~1",
        "HEAD^",
        "a:b",
        "a?",
        "a*",
        "a[b",
        "a\\b",
        "a b",
        "a\nb",
        "a\0",
        "@",
        "a@{1}",
        ".a",
        "a/.b",
        "a//b",
        "/a",
        "a/",
        "a.lock",
        "a.lock/b",
        "a.",
        "\u{7f}",
        &long,
    ] {
        let error = check(&source("a/b", Some(commit)), &deployed()).expect_err(commit);
        assert!(matches!(error, GitError::BadCommit { .. }), "{commit}: {error}");
    }
    for commit in ["main", "feature/x", "v1.0", "0123abcd", "release-1", "é"] {
        check(&source("a/b", Some(commit)), &deployed()).unwrap();
    }
}

#[test]
fn folders_stay_inside() {
    for folder in ["/etc", "..", "a/../..", "a/..", ".git", "a/.git/hooks", "a\nb", "a\\b", "\0", &"a/".repeat(900)] {
        assert!(matches!(check_folder(folder), Err(GitError::BadFolder { .. })), "{folder}");
    }
    assert_eq!(check_folder("./a//b/").unwrap(), Path::new("a/b"));
    assert_eq!(check_folder("").unwrap(), Path::new(""));
    assert_eq!(check_folder("-rf").unwrap(), Path::new("-rf"));

    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("a/b")).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("/etc", root.path().join("out")).unwrap();
    std::os::unix::fs::symlink("a", root.path().join("in")).unwrap();
    assert!(enter_folder(root.path(), "in/b").unwrap().ends_with("a/b"));
    for (folder, reason) in [("missing", "exist"), ("file", "not a folder"), ("out", "outside")] {
        let error = enter_folder(root.path(), folder).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

proptest! {
    #[test]
    fn no_name_makes_the_check_panic_or_slip_through(repo in any::<String>(), commit in any::<String>()) {
        if let Ok(remote) = check(&source(&repo, Some(&commit)), &deployed()) {
            let host = remote.url().split('/').nth(2).unwrap_or_default();
            prop_assert!(["github.com", "git@github.com", "git.example.com:8443"].contains(&host), "{}", remote.url());
        }
        if let Ok(folder) = check_folder(&repo) {
            prop_assert!(folder.components().all(|part| matches!(part, std::path::Component::Normal(_))));
        }
    }
}

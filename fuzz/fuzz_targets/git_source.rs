//! What a job may name as a repository, a commit and a folder: what passes cannot be an option, a file or another host.
#![no_main]

use common::git::{self, GitSource, Rules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (repo, commit, folder) = input;
    let rules = Rules { hosts: vec!["github.com".to_owned(), "git.example.org".to_owned()], local_sources: false };
    let source = GitSource { repo: repo.to_owned(), commit: Some(commit.to_owned()) };
    if let Ok(remote) = git::check(&source, &rules) {
        let url = remote.url();
        assert!(url.starts_with("https://") || url.starts_with("ssh://"), "{url}");
        assert!(rules.hosts.iter().any(|host| url.contains(host.as_str())), "{url}");
        assert!(!url.chars().any(|c| c.is_control() || c.is_whitespace()), "{url}");
        let commit = remote.commit().unwrap_or_default();
        assert!(!commit.starts_with('-') && !commit.chars().any(char::is_control), "{commit}");
    }
    if let Ok(path) = git::check_folder(folder) {
        assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{path:?}");
    }
});

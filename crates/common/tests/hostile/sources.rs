//! Repositories, commits, S3 locations and parameters that must not be fetched.

use serde_json::json;

use crate::{assert_refused, job, order};

/// What is not https or ssh to an allowed host, however it is written.
fn repositories() -> Vec<String> {
    let schemes = [
        "http://",
        "HTTP://",
        "git://",
        "file://",
        "ftp://",
        "ftps://",
        "rsync://",
        "ssh+git://",
        "git+ssh://",
        "svn://",
        "s3://",
        "javascript:",
        "data:",
        "ext::",
        "fd::",
        "https::",
        "persistent-https://",
        "-https://",
        "https:/",
        "ssh:/",
        "https:",
        "//",
        "/",
        "./",
        "../",
    ];
    let beyond = ["github.com/o/r", "evil.example/o/r", "127.0.0.1/o/r"];
    let hosts = [
        "evil.example",
        "github.com.evil.example",
        "evil-github.com",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "0x7f.1",
        "2130706433",
        "169.254.169.254",
        "10.0.0.1",
        "github.com:8080",
        "github.com@evil.example",
        "evil.example#@github.com",
        "evil.example?@github.com",
        "user@github.com",
        "user:password@github.com",
        "github.com%00.evil.example",
        "xn--gthub-n4a.com",
        "g\u{456}thub.com",
        "github.com.",
        "-oProxyCommand=id",
        "github.com%0d%0aX:1",
        "$(id).github.com",
        "github.com\n",
        "github.com evil.example",
        "*",
        "*.com",
        "",
    ];
    let paths = [
        "-o/r",
        "o/-r",
        "o/r?x=1",
        "o/r#x",
        "o/r;id",
        "o/r|id",
        "o/r$(id)",
        "o/r`id`",
        "o/r'",
        "o/r\"",
        "o/r x",
        "o/r\n",
        "o/r\0",
        "o/r{a}",
        "o/r*",
        "o/r<x>",
        "o//r",
        "o/r::x",
        "o/r\u{202e}",
        "",
        "/",
    ];
    let mut all = Vec::new();
    all.extend(schemes.iter().flat_map(|scheme| beyond.iter().map(move |rest| format!("{scheme}{rest}"))));
    for host in hosts {
        all.extend([format!("https://{host}/o/r"), format!("ssh://git@{host}/o/r"), format!("git@{host}:o/r")]);
    }
    all.extend(paths.iter().map(|path| format!("https://github.com/{path}")));
    all
}

/// What git would take for an option, an expression or several names, and names that it does not allow.
fn commits() -> Vec<String> {
    let characters = "~^:?*[\\ \t\n\r\0\u{7f}\u{85}\u{200b}\u{202e}\u{2028}\u{feff}";
    let around = |char: char| [format!("{char}"), format!("a{char}b"), format!("{char}a"), format!("a{char}")];
    let others = [
        "-",
        "-a",
        "--upload-pack=id",
        "+a",
        "+a:b",
        "@",
        "@{1}",
        "a@{b}",
        "a..b",
        "..",
        "...",
        "a/",
        "/a",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a.",
        "/",
        "",
    ];
    let long = ["a".repeat(1_025), "a/".repeat(600)];
    characters.chars().flat_map(around).chain(others.map(str::to_owned)).chain(long).collect()
}

#[test]
fn repositories_and_commits() {
    let (repositories, commits) = (repositories(), commits());
    for repository in &repositories {
        assert_refused(&order(json!({"git_repo": repository})), "orders[0].git_repo: ", repository);
    }
    for commit in &commits {
        assert_refused(&order(json!({"git_repo": "o/r", "commit_hash": commit})), "orders[0].commit_hash: ", commit);
    }
    println!("{} repositories, {} commits", repositories.len(), commits.len());
    assert!(repositories.len() + commits.len() >= 200);
}

/// The engine's own objects, other buckets, and what is no zip in S3.
#[allow(clippy::too_many_lines, reason = "a list")]
fn locations() -> Vec<String> {
    let mut all = Vec::new();
    for own in ["tmp/", "logs/", "worker/"] {
        for key in [
            "x.zip",
            "a/b.zip",
            "exec/r/0001/exec.zip",
            "exec/r/plan.zip",
            "callbacks/runs/r/0001/result.zip",
            "../x.zip",
            "../sources/x.zip",
            "./x.zip",
            "/x.zip",
            "//x.zip",
            "%2e%2e/x.zip",
            "a b.zip",
            "\u{e4}.zip",
            ".zip",
            "r/0001.log.zip",
        ] {
            all.push(format!("s3://exe-sys-internal/{own}{key}"));
        }
    }
    let buckets = [
        "",
        "a",
        "ab",
        "UPPER",
        "Sources",
        "sources_",
        "so urces",
        "sources%2f",
        "sources?",
        "sources#",
        "sources:x",
        "sources@evil",
        "..",
        "sources\n",
        "sources\0",
        "\u{455}ources",
        "exe-sys-internal.",
        "exe-sys-internal-",
        "exe-sys-done",
        "exe-sys-internal2",
        "sources2",
        "xsources",
        "sources.",
        "arn:aws:s3:::sources",
        "*",
        "sources*",
        "accesspoint",
        "another",
        "-",
        "sources,another",
        "sources=123456789012",
    ];
    for bucket in buckets {
        all.extend(["x.zip", "a/x.zip", "tmp/x.zip"].map(|key| format!("s3://{bucket}/{key}")));
    }
    for scheme in [
        "",
        "s3:",
        "s3:/",
        "S3://",
        "s3a://",
        "s3n://",
        "http://",
        "https://",
        "file://",
        "//",
        "arn:aws:s3:::",
        "ftp://",
        " s3://",
        "s3 ://",
        "gs://",
        "s3::https://",
    ] {
        all.extend(["sources/x.zip", "exe-sys-internal/x.zip"].map(|rest| format!("{scheme}{rest}")));
    }
    let long = "x".repeat(1_021) + ".zip";
    for key in [
        "",
        "x",
        "x.tar",
        "x.zip/",
        "x.zip.gz",
        "x\0.zip",
        "x\n.zip",
        "x\r\n.zip",
        "\u{1b}[2J.zip",
        "x\u{85}.zip",
        "x.zip?versionId=1",
        "x.zip#y",
        "x.zip ",
        "x.zip\n",
        "x.zip\0",
        ".",
        "..",
        &long,
        "x.zi",
        "xzip",
        "x.rar",
        "x.7z",
        "x.jar",
        "x.exe",
        "*",
        "x.ZIP",
        "x.Zip",
        "x.zip\u{200b}",
        "x\t.zip",
        "x\u{7f}.zip",
        "zip",
        "/",
        "a/",
    ] {
        all.push(format!("s3://sources/{key}"));
    }
    all
}

#[test]
fn locations_in_s3() {
    let all = locations();
    for location in &all {
        assert_refused(&order(json!({"s3_location": location})), "orders[0].s3_location: ", location);
    }
    println!("{} locations", all.len());
    assert!(all.len() >= 200);
}

#[test]
fn parameters() {
    let own = [
        "/exe-sys/sops-keys/r",
        "exe-sys/sops-keys/r",
        "//exe-sys/sops-keys/r",
        "///exe-sys/",
        "/exe-sys/",
        "/exe-sys/x",
        "/exe-sys//x",
        "/exe-sys/sops-keys/r:1",
        "/exe-sys/sops-keys/r:label",
        "/exe-sys/../x",
        "/exe-sys/sops-keys/",
    ];
    let arn = "arn:aws:ssm:us-east-1:123456789012:parameter";
    let arns = ["/exe-sys/sops-keys/r", "/team/x", ""].map(|name| format!("{arn}{name}"));
    let malformed = [
        "",
        "*",
        "/*",
        "/team/*",
        "/team/?",
        "a b",
        " /a",
        "/a ",
        "/a\n",
        "/a\0",
        "/a\tb",
        "/\u{e4}",
        "/\u{430}",
        "/a:",
        "/a:1:2",
        ":1",
        ":",
        "/a:b c",
        "/a:*",
        "{{ssm:/a}}",
        "${/a}",
        "$(id)",
        "`id`",
        "/a;id",
        "/a|id",
        "/a&b",
        "/a?b",
        "/a#b",
        "/a%2fb",
        "/a\\b",
        "/a\"b",
        "/a'b",
        "/a<b>",
        "/a,b",
        "/a=b",
        "/a@b",
        "/a+b",
        "/a!b",
        "/a~b",
        "/a\u{202e}b",
        "/a\u{200b}",
        "/a[0]",
        "/a{b}",
        "/a(b)",
    ];
    let all: Vec<String> = own.map(str::to_owned).into_iter().chain(arns).chain(malformed.map(str::to_owned)).collect();
    for path in &all {
        assert_refused(&order(json!({"ssm_paths": [path]})), "orders[0].ssm_paths[0]: ", path);
        assert_refused(&job(json!({"sops_key_ssm_path": path})), "sops_key_ssm_path: ", path);
        for field in ["git_token_location", "git_ssh_key_location"] {
            for location in [path.clone(), format!("aws:::ssm:{path}")] {
                assert_refused(&job(json!({field: location})), &format!("{field}: "), path);
            }
        }
    }
    println!("{} parameters in six places", all.len());
    assert!(6 * all.len() >= 200);
}

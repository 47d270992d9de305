//! Documents between this implementation and others, both ways: `sops` itself, the npm module `sops-age`, and the `age`
//! program.
//!
//! What is not installed is passed over, with a word on standard error; with `SOPS_INTEROP=required` it is an error.
//! `scripts/sops-tools` installs all of it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use common::{
    clock::Timestamp,
    env::Environment,
    sops::{self, Identity},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// Reads a document from the file that is named, with the key in `SOPS_AGE_KEY`.
const SOPS_AGE: &str = r#"
const { decryptSops } = require("sops-age");
decryptSops({ path: process.argv[1], fileType: "json", secretKey: process.env.SOPS_AGE_KEY })
    .then((values) => process.stdout.write(JSON.stringify(values)))
    .catch((error) => { console.error(error); process.exit(1); });
"#;

/// Whether the program is there and can do this.
fn is_there(program: &str, arguments: &[&str]) -> bool {
    let tried = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = tried.is_ok_and(|status| status.success());
    if !is_there {
        assert_ne!(
            Environment::of_process().get("SOPS_INTEROP"),
            Some("required"),
            "`{program} {arguments:?}` does not work"
        );
        eprintln!("`{program} {arguments:?}` does not work, so this is not tested");
    }
    is_there
}

fn has_sops() -> bool {
    is_there("sops", &["--version", "--disable-version-check"])
}

/// What a program says, with this key.
fn said(program: &str, arguments: &[&str], key: &Identity) -> Vec<u8> {
    let secret = key.secret();
    let output = Command::new(program).args(arguments).env("SOPS_AGE_KEY", secret.expose_secret()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Values that are hard to write down.
fn values() -> BTreeMap<String, String> {
    let key = "-----BEGIN KEY-----\nYWJj\n-----END KEY-----\n";
    let all = "\u{1}\u{8}\u{c}\t\r\u{1f}\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}\u{10ffff}";
    [
        ("TOKEN", "s3cret"),
        ("A", "1"),
        ("EMPTY", ""),
        ("KEY", key),
        ("QUOTED", r#"'"\/`$(id)${x}{{ y }}<&>#!*"#),
        ("JSON", r#"{"a":[1,2,"\u0000"]}"#),
        ("UNICODE", "grün ✓ 🗝 e\u{301}"),
        ("CONTROL", all),
        ("BLANK", "  around  "),
        ("LOOKS_SEALED", "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]"),
        ("lower.case-name", "x"),
        ("NAME_unencrypted", "sealed all the same"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .chain([("LONG".to_owned(), "long ".repeat(20_000))])
    .collect()
}

/// A document of ours in a file, for each of the keys.
fn ours(folder: &Path, keys: &[&Identity]) -> String {
    let sealed = values().into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
    let recipients: Vec<String> = keys.iter().map(|key| key.recipient()).collect();
    let document = sops::seal(&sealed, &recipients, Timestamp::from_secs(1_732_156_800)).unwrap();
    let path = folder.join("secrets.enc.json");
    fs::write(&path, document).unwrap();
    path.to_str().unwrap().to_owned()
}

fn parsed(text: &[u8]) -> BTreeMap<String, String> {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

#[test]
fn sops_opens_ours() {
    if !has_sops() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Identity::generate(), Identity::generate());
    let file = ours(folder.path(), &[&first, &second]);
    for key in [&first, &second] {
        assert_eq!(parsed(&said("sops", &["decrypt", &file], key)), values());
    }
}

#[test]
fn the_npm_module_opens_ours() {
    if !is_there("node", &["-e", "require('sops-age')"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let key = Identity::generate();
    let file = ours(folder.path(), &[&key]);
    assert_eq!(parsed(&said("node", &["-e", SOPS_AGE, &file], &key)), values());
}

#[test]
fn age_opens_the_data_key_of_ours_and_knows_our_recipient() {
    if !is_there("age", &["--version"]) || !is_there("age-keygen", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let key = Identity::generate();
    let document: Value = serde_json::from_slice(&fs::read(ours(folder.path(), &[&key])).unwrap()).unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key_file, data_key) = (at("key"), at("data-key"));
    fs::write(&key_file, key.secret().expose_secret()).unwrap();
    fs::write(&data_key, document["sops"]["age"][0]["enc"].as_str().unwrap()).unwrap();
    assert_eq!(said("age", &["--decrypt", "--identity", &key_file, &data_key], &key).len(), 32);
    let recipient = String::from_utf8(said("age-keygen", &["-y", &key_file], &key)).unwrap();
    assert_eq!(recipient.trim(), key.recipient());

    // And a key that `age-keygen` makes, with its comments, is one here.
    let made = at("made");
    said("age-keygen", &["--output", &made], &key);
    let made_key = Identity::parse(&SecretString::from(fs::read_to_string(&made).unwrap())).unwrap();
    let recipient = String::from_utf8(said("age-keygen", &["-y", &made], &key)).unwrap();
    assert_eq!(recipient.trim(), made_key.recipient());
}

#[test]
fn what_sops_writes_is_opened_and_a_change_of_it_refused() {
    if !has_sops() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Identity::generate(), Identity::generate());
    let mut document = json!(values());
    document["nested"] = json!({"list": ["a", {"b": "c"}, 1, 2.5, true, null, ""], "number": -7});
    document["flag"] = json!(false);
    document["nothing"] = json!(null);
    // A name with the ending that tells sops to leave the value as it is.
    document["note_unencrypted"] = json!("in the clear");
    let plain = folder.path().join("plain.json");
    fs::write(&plain, document.to_string()).unwrap();
    let recipients = format!("{},{}", first.recipient(), second.recipient());
    let written = said("sops", &["encrypt", "--age", &recipients, plain.to_str().unwrap()], &first);
    let written = String::from_utf8(written).unwrap();

    let mut wanted = values();
    wanted.insert("nested".to_owned(), r#"{"list":["a",{"b":"c"},1,2.5,true,null,""],"number":-7}"#.to_owned());
    for (name, value) in [("flag", "false"), ("nothing", "null"), ("note_unencrypted", "in the clear")] {
        wanted.insert(name.to_owned(), value.to_owned());
    }
    for key in [&first, &second] {
        let opened = sops::open(&written, key).unwrap();
        let opened: BTreeMap<_, _> = opened.iter().map(|(name, value)| (name.clone(), value.expose_secret())).collect();
        let wanted: BTreeMap<_, _> = wanted.iter().map(|(name, value)| (name.clone(), value.as_str())).collect();
        assert_eq!(opened, wanted);
    }
    for (before, after) in [("in the clear", "in the dark"), ("\"flag\"", "\"flap\""), ("\"nested\"", "\"neste\"")] {
        let changed = written.replace(before, after);
        assert_ne!(changed, written);
        assert!(sops::open(&changed, &first).is_err(), "{after}");
    }
}

//! Secrets that every test's orders have, and the search for them in every byte that left the engine's processes.
//!
//! The values are written so that whatever a program makes of them, a *core* of letters and digits stays as it is, or
//! stands in base64 or hex: quoting, escaping and percent-encoding change only what is around it. So few texts are looked
//! for, and none of the masker's own forms is needed to know them.

use std::{fs, path::Path};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE},
};
use common::aws::Aws;
use memchr::memmem;
use serde_json::json;

use super::stack::INTERNAL;

/// The parameter that they are in. Orders get `CANARY` and `CANARY_LINES`.
pub(crate) const PARAMETER: &str = "/team/canary";

/// What the values are written around.
const CORES: [&str; 4] = ["kanarie7f3e91abQZ", "kanarie5d20c6efWX", "kanarie84b1f2d9UV", "kanarie3c6a0e75ST"];

/// Who sends this header is a test and no process of the engine's.
pub(crate) const TEST_CLIENT: (&str, &str) = ("x-test-client", "1");

/// How the tests' own calls are signed.
const TEST_CREDENTIAL: &[u8] = b"Credential=test/";

fn values() -> [(&'static str, String); 2] {
    let [plain, first, second, third] = CORES;
    [
        ("CANARY", format!("{plain}\"%+/= ä'$`\\<&>~!")),
        ("CANARY_LINES", format!("-----BEGIN-----\n  {first}\"/+=\r\n{second}\n{third}'\\\n-----END-----\n")),
    ]
}

/// What the parameter holds.
pub(crate) fn document() -> String {
    let values = values().map(|(name, value)| (name.to_owned(), json!(value)));
    serde_json::Value::Object(values.into_iter().collect()).to_string()
}

/// Puts it where orders find it.
pub(crate) async fn put(aws: &Aws) {
    use aws_sdk_ssm::types::ParameterType::SecureString;
    let request = aws.ssm().put_parameter().name(PARAMETER).value(document()).r#type(SecureString).overwrite(true);
    request.send().await.unwrap();
}

/// None of them may be in these texts.
#[track_caller]
pub(crate) fn assert_none(texts: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let found = found(texts);
    assert!(found.is_empty(), "a secret is in {}", found.join("\na secret is in "));
}

/// Everything that must not be found.
fn traces() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for core in CORES {
        all.extend([core.to_owned(), hex::encode(core), hex::encode_upper(core)].map(String::into_bytes));
        // As a part of something longer it begins at any of three places in a group of four letters; the letters that
        // hold bits of its neighbours are left out.
        for before in 0..3 {
            let text = format!("{}{core}", &"___"[..before]);
            let own = (before * 8_usize).div_ceil(6)..text.len() * 8 / 6;
            all.extend(
                [&BASE64_STANDARD, &BASE64_URL_SAFE]
                    .map(|engine| engine.encode(&text).as_bytes()[own.clone()].to_vec()),
            );
        }
    }
    all
}

/// The places in which one was found; each a text that says where.
fn found(texts: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<String> {
    let finders: Vec<_> = traces().into_iter().map(|trace| memmem::Finder::new(&trace).into_owned()).collect();
    let mut places = Vec::new();
    for (place, text) in texts {
        for finder in &finders {
            if let Some(at) = finder.find(&text) {
                let around = &text[at.saturating_sub(200)..text.len().min(at + 100)];
                places.push(format!("{place}, at byte {at}: {}", String::from_utf8_lossy(around)));
            }
        }
    }
    places
}

/// Each request of the engine's processes, but those that are there to carry secrets.
pub(crate) fn captured(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut all = Vec::new();
    for path in files {
        for request in requests(&fs::read(&path).unwrap()) {
            let line =
                String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned();
            if !is_a_tests(request) && !is_dispatch_document(&line) {
                let line: String = line.chars().take(100).collect();
                all.push((format!("connection {}: {line}", path.file_name().unwrap().display()), request.to_vec()));
            }
        }
    }
    all
}

fn is_a_tests(request: &[u8]) -> bool {
    let header = format!("\r\n{}: {}\r\n", TEST_CLIENT.0, TEST_CLIENT.1);
    [TEST_CREDENTIAL, header.as_bytes()].iter().any(|mark| memmem::find(request, mark).is_some())
}

/// The document of an order on instances, which has its variables: workers there have no role to read the key with.
fn is_dispatch_document(line: &str) -> bool {
    line.starts_with(&format!("PUT /{INTERNAL}/tmp/exec/")) && line.contains("/dispatch.json")
}

/// The requests of a connection; what cannot be told apart is one.
fn requests(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (request, rest) = bytes.split_at(length(bytes).unwrap_or(bytes.len()));
        all.push(request);
        bytes = rest;
    }
    all
}

/// Of the first request, if it is there as a whole and tells its length.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let mut body = 0;
    for line in str::from_utf8(&bytes[..head]).ok()?.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body = value.trim().parse().ok()?,
            "transfer-encoding" => return None,
            _ => {}
        }
    }
    (head + body <= bytes.len()).then_some(head + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_connection_are_told_apart() {
        let (first, second) = ("PUT /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", "GET /b HTTP/1.1\r\nhost: x\r\n\r\n");
        let cut = "PUT /c HTTP/1.1\r\nContent-Length: 9\r\n\r\nab";
        let bytes = [first, second, cut].concat();
        assert_eq!(requests(bytes.as_bytes()), [first, second, cut].map(str::as_bytes));
    }

    #[test]
    fn whatever_a_program_makes_of_a_value_is_found() {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        for (_, value) in values() {
            for line in value.lines().filter(|line| line.contains("kanarie")) {
                for (form, text) in [
                    ("itself", line.to_owned()),
                    ("base64", BASE64_STANDARD.encode(line)),
                    ("base64 of something longer", BASE64_STANDARD.encode(format!("user:{line}!"))),
                    ("base64url of something longer", BASE64_URL_SAFE.encode(format!("_{line}"))),
                    ("hex", hex::encode(line)),
                    ("HEX", hex::encode_upper(line)),
                    ("JSON", json!([line]).to_string()),
                    ("URL", utf8_percent_encode(line, NON_ALPHANUMERIC).to_string()),
                ] {
                    let found = found([("here".to_owned(), format!("<{text}>").into_bytes())]);
                    assert!(!found.is_empty(), "{form} of {line}");
                }
            }
        }
        assert_eq!(found([("here".to_owned(), b"***".to_vec())]), [""; 0]);
    }
}

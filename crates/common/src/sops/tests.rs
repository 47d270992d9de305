//! Documents of ours, documents that others wrote, and documents that somebody changed.

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::Index,
};

use super::*;

/// A key that everybody knows; it opens the fixture.
const FIXTURE_KEY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// Made by another implementation in the layout of sops itself: nested, of every type, with comments and clear values.
const FIXTURE: &str = include_str!("fixture.json");

fn fixture_identity() -> Identity {
    Identity::parse(&SecretString::from(FIXTURE_KEY)).unwrap()
}

fn secrets<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, SecretString> {
    values.into_iter().map(|(name, value)| (name.to_owned(), SecretString::from(value))).collect()
}

fn plain(values: &BTreeMap<String, SecretString>) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect()
}

fn sealed(values: &[(&str, &str)]) -> (String, Identity) {
    let identity = Identity::generate();
    let now = Timestamp::from_secs(1_732_156_800);
    (seal(&secrets(values.iter().copied()), &[identity.recipient()], now).unwrap(), identity)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens(values in btree_map("[A-Za-z_:. ]{1,12}(_unencrypted)?", any::<String>(), 0..6)) {
        prop_assume!(!values.contains_key("sops"));
        let identity = Identity::generate();
        let values: BTreeMap<_, _> = values.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
        let document = seal(&values, &[identity.recipient()], Timestamp::from_secs(1)).unwrap();
        prop_assert_eq!(plain(&open(&document, &identity).unwrap()), plain(&values));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        prop_assert!(open(&text, &Identity::generate()).is_err());
    }
}

/// Ten documents of ours: of no value and of many, of empty, long and strange ones, for one key and for several. All open
/// with the key.
fn ten_documents() -> (Vec<String>, Identity) {
    let (identity, other) = (Identity::generate(), Identity::generate());
    let long = "x".repeat(2_000);
    let shapes: [&[(&str, &str)]; 5] = [
        &[],
        &[("TOKEN", "s3cret"), ("EMPTY", ""), ("Z", "é\n")],
        &[("ALL_EMPTY", ""), ("EMPTY", "")],
        &[("LONG", &long)],
        &[("A_unencrypted", "1"), ("B", "2"), ("C:D", "3"), ("E.F", "\u{0}\u{1f}\u{7f}\u{2028}")],
    ];
    let recipients = [vec![identity.recipient()], vec![other.recipient(), identity.recipient()]];
    let now = Timestamp::from_secs(77);
    let sealed =
        |values: &&[(&str, &str)], keys: &Vec<String>| seal(&secrets(values.iter().copied()), keys, now).unwrap();
    let documents = recipients.iter().flat_map(|keys| shapes.iter().map(move |values| sealed(values, keys))).collect();
    (documents, identity)
}

#[test]
fn every_changed_byte_is_refused() {
    let (documents, identity) = ten_documents();
    assert_eq!(documents.len(), 10);
    for (number, document) in documents.iter().enumerate() {
        open(document, &identity).unwrap();
        let mut bytes = document.clone().into_bytes();
        for at in 0..bytes.len() {
            // One of the eight bits, another one from byte to byte.
            let flip = 1 << ((at + number) % 8);
            bytes[at] ^= flip;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                assert!(open(text, &identity).is_err(), "byte {at} of:\n{text}");
            }
            bytes[at] ^= flip;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1))]

    #[test]
    fn ten_thousand_random_changes_are_refused(changes in vec((any::<Index>(), any::<Index>(), 1_u8..), 10_000)) {
        let (documents, identity) = ten_documents();
        for (document, at, flip) in changes {
            let mut bytes = document.get(&documents).clone().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                prop_assert!(open(text, &identity).is_err(), "byte {} of:\n{}", at, text);
            }
        }
    }
}

#[test]
fn each_of_several_keys_opens() {
    let (identity, other) = (Identity::generate(), Identity::generate());
    let values = secrets([("TOKEN", "s3cret")]);
    let document = seal(&values, &[identity.recipient(), other.recipient()], Timestamp::from_secs(77)).unwrap();
    for key in [&identity, &other] {
        assert_eq!(plain(&open(&document, key).unwrap()), plain(&values));
    }
}

/// The value that sops's own tests open, `aes/cipher_test.go` of <https://github.com/getsops/sops>.
#[test]
fn a_value_of_sops_opens_in_its_place_alone() {
    let value = "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,\
                 tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]";
    let key = DataKey::from_bytes(&[b'f'; 32]).unwrap();
    assert!(matches!(key.open(value, "bar:"), Some(Plain::Text(text)) if text == "foo"));
    for place in ["", "bar", "foo:", "bar:bar:"] {
        assert!(key.open(value, place).is_none(), "{place}");
    }
}

#[test]
fn without_our_digest_sops_own_checks_hold() {
    // Each change goes over the whole text of the fixture, which has no digest of ours.
    let line = |name: &str| FIXTURE.lines().find(|line| line.contains(name)).unwrap().to_owned();
    let value = |name: &str| line(name).split_once(": ").unwrap().1.trim_end_matches(',').to_owned();
    let (password, token) = (value("\"password\""), value("\"token\""));
    let (tenth, twentieth) = (value("\"first\""), value("\"second\""));
    for (why, changed) in [
        ("a value moved to another name", FIXTURE.replace(&password, &token)),
        ("two values swapped", FIXTURE.replace(&tenth, "§").replace(&twentieth, &tenth).replace('§', &twentieth)),
        ("a value removed", FIXTURE.replace(&format!("{}\n", line("\"password\"")), "")),
        ("a clear value changed", FIXTURE.replace("in the clear", "in the dark")),
        ("a sealed value put in clear", FIXTURE.replace(&password, "\"guess\"")),
        ("a sealed value put as a number", FIXTURE.replace(&password, "7")),
        ("another time", FIXTURE.replace("2024-11-21T02:40:00Z", "2024-11-21T02:40:01Z")),
        ("another type", FIXTURE.replace("type:int", "type:str").replace("type:bool", "type:int")),
        (
            "another suffix",
            FIXTURE.replace("\"unencrypted_suffix\": \"_unencrypted\"", "\"unencrypted_suffix\": \"_u\""),
        ),
    ] {
        assert_ne!(changed, FIXTURE, "{why}: the change changes nothing");
        let error = open(&changed, &fixture_identity()).unwrap_err();
        assert!(matches!(error, SopsError::Tampered(_)), "{why}: {error}");
    }
}

#[test]
fn what_sops_writes_is_read() {
    let values = plain(&open(FIXTURE, &fixture_identity()).unwrap());
    let expected = [
        ("database", r#"{"first":"ten","second":"twenty","ports":[5432,5433],"ratio":0.25,"replicated":true}"#),
        ("empty", ""),
        ("enabled", "false"),
        ("nothing", "null"),
        ("note_unencrypted", "in the clear"),
        ("password", "correct horse\nbattery staple"),
        ("retries", "3"),
        ("tags", r#"["b","a",""]"#),
        ("token", "t0ken"),
    ];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn another_key_opens_nothing() {
    let (document, _) = sealed(&[("A", "1")]);
    assert_eq!(open(&document, &Identity::generate()).unwrap_err(), SopsError::WrongKey);
}

#[test]
fn what_cannot_be_read_rightly_is_not_read() {
    for (setting, value) in
        [("encrypted_regex", "\"^data\""), ("shamir_threshold", "2"), ("mac_only_encrypted", "true")]
    {
        let changed = FIXTURE.replace("\"lastmodified\"", &format!("\"{setting}\": {value},\n\"lastmodified\""));
        assert_eq!(open(&changed, &fixture_identity()).unwrap_err(), SopsError::Unsupported(setting.to_owned()));
    }
    for text in ["", "[]", "{}", r#"{"sops":{}}"#, r#"{"sops":3}"#, r#"{"a":1,"a":2,"sops":{}}"#, &"[".repeat(10_000)] {
        assert!(matches!(open(text, &fixture_identity()).unwrap_err(), SopsError::Malformed(_)), "{text:.20}");
    }
}

#[test]
fn nothing_of_a_value_stands_in_the_document() {
    let (document, identity) = sealed(&[("TOKEN", "canary-canary-canary")]);
    assert!(!document.contains("canary"));
    assert!(document.contains("\"TOKEN\": \"ENC[AES256_GCM,data:"));
    assert!(!document.contains(identity.secret().expose_secret()));
    assert!(!format!("{identity:?}").contains("SECRET"));
}

#[test]
fn recipients_and_identities_are_checked() {
    let identity = Identity::generate();
    check_recipient(&identity.recipient()).unwrap();
    for text in ["", "age1", "ssh-ed25519 AAAA", &identity.recipient().replace("age1", "age1q"), "age1\u{202e}\n"] {
        assert!(matches!(check_recipient(text), Err(SopsError::BadRecipient(_))), "{text}");
    }
    let file = format!("# created: today\n# public key: …\n{}\n", identity.secret().expose_secret());
    assert_eq!(Identity::parse(&SecretString::from(file)).unwrap().recipient(), identity.recipient());
    for text in ["", "AGE-SECRET-KEY-1", identity.recipient().as_str()] {
        let error = Identity::parse(&SecretString::from(text)).unwrap_err();
        assert_eq!(error, SopsError::BadIdentity);
    }
    let now = Timestamp::from_secs(0);
    assert_eq!(seal(&secrets([]), &[], now).unwrap_err(), SopsError::NoRecipient);
    let reserved = seal(&secrets([("sops", "x")]), &[identity.recipient()], now).unwrap_err();
    assert_eq!(reserved, SopsError::ReservedName("sops".to_owned()));
}

//! The block `sops` of a document: who can open it, when it was written, and what protects it.

use super::{BLOCK, DIGEST, SopsError, tree::Node};

/// Ways to hold the data key that are not ours; a document may have them beside its age entries.
const OTHER_KEYS: [&str; 6] = ["kms", "gcp_kms", "azure_kv", "hc_vault", "hckms", "pgp"];

/// Settings that change which values are sealed or how the key is split. Ignoring one would be reading wrongly.
const UNREAD: [&str; 9] = [
    "shamir_threshold",
    "key_groups",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
    "mac_only_encrypted",
    "mac_algorithm",
];

/// The data key sealed to one recipient.
pub(super) struct AgeEntry {
    /// `age1…`; what the entry claims, not yet believed.
    pub(super) recipient: String,
    /// An age file in ASCII armour.
    pub(super) enc: String,
}

/// What is used of the block.
pub(super) struct Metadata {
    pub(super) age: Vec<AgeEntry>,
    /// RFC 3339; the MAC is bound to this very text.
    pub(super) lastmodified: String,
    pub(super) mac: String,
    /// Values under a name with this ending stand in clear.
    pub(super) unencrypted_suffix: String,
    /// Only in documents of ours.
    pub(super) digest: Option<String>,
}

impl Metadata {
    pub(super) fn parse(block: Node) -> Result<Self, SopsError> {
        let Node::Map(fields) = block else {
            return Err(SopsError::malformed("`sops` is not an object"));
        };
        let (mut age, mut lastmodified, mut mac, mut suffix, mut digest) = (None, None, None, None, None);
        for (name, node) in fields {
            match name.as_str() {
                "age" => age = Some(entries(node)?),
                "lastmodified" => lastmodified = Some(text(&name, &node)?),
                "mac" => mac = Some(text(&name, &node)?),
                "unencrypted_suffix" => suffix = Some(text(&name, &node)?).filter(|suffix| !suffix.is_empty()),
                DIGEST => digest = Some(text(&name, &node)?),
                "version" => drop(text(&name, &node)?),
                other if OTHER_KEYS.contains(&other) => {}
                other if UNREAD.contains(&other) && node.is_blank() => {}
                other => return Err(SopsError::Unsupported(other.escape_debug().take(100).collect())),
            }
        }
        let missing = |name: &str| SopsError::malformed(format!("`{BLOCK}.{name}` is missing"));
        Ok(Self {
            age: age.ok_or_else(|| missing("age"))?,
            lastmodified: lastmodified.ok_or_else(|| missing("lastmodified"))?,
            mac: mac.ok_or_else(|| missing("mac"))?,
            unencrypted_suffix: suffix.unwrap_or_else(|| "_unencrypted".to_owned()),
            digest,
        })
    }

    /// The block of a document of ours, with the digest last.
    pub(super) fn block(&self, version: &str, digest: &str) -> Node {
        let age = self.age.iter().map(|entry| map([("recipient", &entry.recipient), ("enc", &entry.enc)])).collect();
        let Node::Map(rest) = map([
            ("lastmodified", self.lastmodified.as_str()),
            ("mac", &self.mac),
            ("unencrypted_suffix", &self.unencrypted_suffix),
            ("version", version),
            (DIGEST, digest),
        ]) else {
            return Node::Null;
        };
        Node::Map([("age".to_owned(), Node::List(age))].into_iter().chain(rest).collect())
    }
}

fn map<'a, T: AsRef<str> + ?Sized + 'a, const N: usize>(fields: [(&str, &'a T); N]) -> Node {
    Node::Map(fields.into_iter().map(|(name, text)| (name.to_owned(), Node::Text(text.as_ref().to_owned()))).collect())
}

fn text(name: &str, node: &Node) -> Result<String, SopsError> {
    node.text().map(str::to_owned).ok_or_else(|| SopsError::malformed(format!("`{BLOCK}.{name}` is not a text")))
}

fn entries(node: Node) -> Result<Vec<AgeEntry>, SopsError> {
    let wrong = || SopsError::malformed(format!("`{BLOCK}.age` is not a list of `recipient` and `enc`"));
    let items = match node {
        Node::Null => return Ok(Vec::new()),
        Node::List(items) => items,
        _ => return Err(wrong()),
    };
    items
        .into_iter()
        .map(|item| {
            let Node::Map(fields) = item else { return Err(wrong()) };
            let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).and_then(|(_, node)| node.text());
            let (recipient, enc) = field("recipient").zip(field("enc")).ok_or_else(wrong)?;
            Ok(AgeEntry { recipient: recipient.to_owned(), enc: enc.to_owned() })
        })
        .collect()
}

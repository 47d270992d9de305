//! Real SOPS files, as JSON, over age keys: written here, read here, and by `sops` as well.
//!
//! A document carries its values under their own names, each sealed by itself (AES-256-GCM under one *data key*, bound
//! to the path of its name), and a block `sops`: the data key sealed to each age recipient, the time, and a MAC over
//! all plaintexts in order, bound to that time.
//!
//! That leaves gaps which anyone with write access could use unseen: the version, another recipient's copy of the key
//! and names with an empty value are covered by nothing. So a document of ours carries one more field, [`DIGEST`]: the
//! digest of the whole text, sealed under the data key. Other implementations ignore the field; [`open`] insists
//! on it where it stands, so that any changed byte of our own documents is refused.
//!
//! It ends at text and values: who may read which key, and where documents are kept, is not known here.

mod cipher;
mod identity;
mod metadata;
mod rfc3339;
mod tree;

use std::collections::BTreeMap;

pub use identity::{Identity, check_recipient};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256, Sha512};

use self::{
    cipher::{DataKey, Plain},
    metadata::Metadata,
    tree::Node,
};
use crate::clock::Timestamp;

/// What sops 3 writes; other implementations look at it to choose how they read.
const VERSION: &str = "3.9.4";

/// The block that sops adds to a document; no value can have this name.
const BLOCK: &str = "sops";

/// The field inside the block that is ours alone.
const DIGEST: &str = "aws_exe_sys_digest";

/// Why a document could not be written or read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SopsError {
    /// A text that is no age X25519 recipient.
    #[error("`{0}` is not an age recipient (`age1…`)")]
    BadRecipient(String),
    /// A text that is no age X25519 identity; it may hold a key, so it is not shown.
    #[error("the key is not an age identity (`AGE-SECRET-KEY-1…`)")]
    BadIdentity,
    /// Nobody could read the document.
    #[error("there is no recipient to seal to")]
    NoRecipient,
    /// A value under a name that the format keeps for itself.
    #[error("no value can be named `{0}`")]
    ReservedName(String),
    /// The text is no SOPS document.
    #[error("the text is not a SOPS document: {0}")]
    Malformed(String),
    /// The document uses a feature of SOPS that is not read here.
    #[error("the SOPS document uses `{0}`, which is not supported")]
    Unsupported(String),
    /// The data key is sealed to others.
    #[error("the key opens none of the document's age entries")]
    WrongKey,
    /// Something was changed after the document was sealed.
    #[error("the SOPS document was changed after it was sealed: {0}")]
    Tampered(String),
    /// The operating system gives no randomness, or a library refused.
    #[error("encryption failed: {0}")]
    Encryption(String),
}

impl SopsError {
    fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed(reason.into())
    }
}

/// A document of these values that each of the recipients can open; `now` goes into it as the time of writing.
///
/// Values are sealed whatever their names; an empty one is written as it is, as sops does.
pub fn seal(
    values: &BTreeMap<String, SecretString>,
    recipients: &[String],
    now: Timestamp,
) -> Result<String, SopsError> {
    if values.contains_key(BLOCK) {
        return Err(SopsError::ReservedName(BLOCK.to_owned()));
    }
    let key = DataKey::fresh()?;
    let lastmodified = rfc3339::utc(now);
    let mut mac = Sha512::new();
    let mut entries = Vec::with_capacity(values.len() + 1);
    for (name, value) in values {
        mac.update(value.expose_secret());
        entries.push((name.clone(), Node::Text(key.seal(value.expose_secret(), &format!("{name}:"))?)));
    }
    let metadata = Metadata {
        age: identity::seal_key(&key, recipients)?,
        mac: key.seal(&hex::encode_upper(mac.finalize()), &lastmodified)?,
        lastmodified,
        unencrypted_suffix: suffix_of_none(values),
        digest: None,
    };
    entries.push((BLOCK.to_owned(), metadata.block(VERSION, "")));
    let undigested = Node::Map(entries).render();
    let digest = key.seal(&digest_of(&undigested), DIGEST)?;
    // The field is the last of the document, and empty only there; the names of a document are unique.
    let empty = format!("\"{DIGEST}\": \"\"");
    let Some(at) = undigested.rfind(&empty) else {
        return Err(SopsError::Encryption("the document has no place for its digest".to_owned()));
    };
    let (before, after) = (&undigested[..at], &undigested[at + empty.len()..]);
    Ok(format!("{before}\"{DIGEST}\": \"{digest}\"{after}"))
}

/// The values of a document, ours or one that sops wrote.
///
/// Values that are not texts at the top level come as compact JSON; comments are left out. Every value is checked
/// against the path of its name, all of them against the MAC, and a document of ours byte by byte.
pub fn open(document: &str, identity: &Identity) -> Result<BTreeMap<String, SecretString>, SopsError> {
    let Node::Map(mut entries) = Node::parse(document)? else {
        return Err(SopsError::malformed("it is not a JSON object"));
    };
    let block = entries.iter().position(|(name, _)| name == BLOCK);
    let Some((_, block)) = block.map(|at| entries.remove(at)) else {
        return Err(SopsError::malformed("it has no block `sops`"));
    };
    let metadata = Metadata::parse(block)?;
    let key = identity.open_key(&metadata.age)?;
    if let Some(digest) = &metadata.digest {
        check_digest(document, digest, &key)?;
    }

    let mut opener = Opener { key: &key, suffix: &metadata.unencrypted_suffix, mac: Sha512::new() };
    let mut values = BTreeMap::new();
    for (name, node) in entries {
        let path = vec![name.clone()];
        let Some(node) = opener.open(node, &path)? else { continue };
        let text = match node {
            Node::Text(text) => text,
            other => other.compact(),
        };
        values.insert(name, SecretString::from(text));
    }

    let Some(Plain::Text(expected)) = key.open(&metadata.mac, &metadata.lastmodified) else {
        return Err(SopsError::Tampered("the MAC does not belong to `lastmodified`".to_owned()));
    };
    // Both sides are digests that were made under the data key, so comparing them in plain time tells nobody anything.
    if expected != hex::encode_upper(opener.mac.finalize()) {
        return Err(SopsError::Tampered("the values do not match the MAC".to_owned()));
    }
    Ok(values)
}

/// A suffix that marks none of the names, since all our values are sealed.
fn suffix_of_none(values: &BTreeMap<String, SecretString>) -> String {
    let mut suffix = "_unencrypted".to_owned();
    while values.keys().any(|name| name.ends_with(&suffix)) {
        suffix.push('_');
    }
    suffix
}

fn digest_of(undigested: &str) -> String {
    hex::encode(Sha256::digest(undigested))
}

fn check_digest(document: &str, digest: &str, key: &DataKey) -> Result<(), SopsError> {
    let tampered = || SopsError::Tampered("the text does not match its digest".to_owned());
    let field = format!("\"{DIGEST}\": \"{digest}\"");
    let at = document.rfind(&field).ok_or_else(tampered)?;
    let undigested = format!("{}\"{DIGEST}\": \"\"{}", &document[..at], &document[at + field.len()..]);
    match key.open(digest, DIGEST) {
        Some(Plain::Text(expected)) if expected == digest_of(&undigested) => Ok(()),
        _ => Err(tampered()),
    }
}

/// Opens the values of a document in its order, feeding the MAC.
struct Opener<'a> {
    key: &'a DataKey,
    suffix: &'a str,
    mac: Sha512,
}

impl Opener<'_> {
    /// The opened node; nothing for a comment.
    fn open(&mut self, node: Node, path: &[String]) -> Result<Option<Node>, SopsError> {
        Ok(Some(match node {
            Node::Null => Node::Null,
            Node::List(items) => {
                // All items of a list have the path of the list; the MAC alone keeps their order.
                let opened: Result<Vec<_>, _> = items.into_iter().map(|item| self.open(item, path)).collect();
                Node::List(opened?.into_iter().flatten().collect())
            }
            Node::Map(entries) => {
                let mut opened = Vec::with_capacity(entries.len());
                for (name, node) in entries {
                    let path = [path, std::slice::from_ref(&name)].concat();
                    opened.extend(self.open(node, &path)?.map(|node| (name, node)));
                }
                Node::Map(opened)
            }
            leaf if path.iter().any(|name| name.ends_with(self.suffix)) => {
                self.mac.update(leaf.mac_text());
                leaf
            }
            Node::Text(text) if text.is_empty() => Node::Text(text),
            Node::Text(text) => {
                let plain = self.key.open(&text, &format!("{}:", path.join(":"))).ok_or_else(|| changed(path))?;
                let Some(node) = plain.into_node() else { return Ok(None) };
                self.mac.update(node.mac_text());
                node
            }
            Node::Bool(_) | Node::Number(_) => return Err(changed(path)),
        }))
    }
}

fn changed(path: &[String]) -> SopsError {
    let path: String = path.join(".").escape_debug().take(200).collect();
    SopsError::Tampered(format!("the value of `{path}` is not one that was sealed there"))
}

#[cfg(test)]
mod tests;

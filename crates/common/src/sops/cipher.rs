//! One value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, sealed under the data key and bound to where it stands.

use std::fmt;

use aes_gcm::{
    AesGcm, KeyInit,
    aead::{Aead, Generate, Key, Nonce, Payload, consts::U32},
    aes::Aes256,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretBox};

use super::{SopsError, tree::Node};

/// AES-256-GCM with the 32-byte IV of SOPS.
type Cipher = AesGcm<Aes256, U32>;

/// Bytes of the tag that GCM appends.
const TAG: usize = 16;

/// The key of one document; wiped when it goes, and never shown.
#[derive(Debug)]
pub(super) struct DataKey(SecretBox<[u8; 32]>);

impl DataKey {
    /// A key that nobody had before.
    pub(super) fn fresh() -> Result<Self, SopsError> {
        let key = Key::<Cipher>::try_generate().map_err(|error| SopsError::Encryption(error.to_string()))?;
        Ok(Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| bytes.copy_from_slice(&key))))
    }

    /// The key from its 32 bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let known = <&[u8; 32]>::try_from(bytes).ok()?;
        Some(Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| bytes.copy_from_slice(known))))
    }

    /// Its bytes, to be sealed to recipients.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    fn cipher(&self) -> Cipher {
        Cipher::new(self.0.expose_secret().into())
    }

    /// A text sealed under this key for this place; an empty one stays as it is.
    pub(super) fn seal(&self, text: &str, place: &str) -> Result<String, SopsError> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let failed = |reason: &dyn fmt::Display| SopsError::Encryption(reason.to_string());
        let iv = Nonce::<Cipher>::try_generate().map_err(|error| failed(&error))?;
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher().encrypt(&iv, payload).map_err(|error| failed(&error))?;
        let (data, tag) = sealed.split_at(sealed.len() - TAG);
        let [data, iv, tag] = [data, &iv, tag].map(|part| BASE64_STANDARD.encode(part));
        Ok(format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"))
    }

    /// The value that was sealed for this place; nothing when it was not, or not under this key.
    pub(super) fn open(&self, sealed: &str, place: &str) -> Option<Plain> {
        let inner = sealed.strip_prefix("ENC[AES256_GCM,data:")?.strip_suffix(']')?;
        let (data, rest) = inner.split_once(",iv:")?;
        let (iv, rest) = rest.split_once(",tag:")?;
        let (tag, kind) = rest.split_once(",type:")?;
        let iv = Nonce::<Cipher>::try_from(BASE64_STANDARD.decode(iv).ok()?.as_slice()).ok()?;
        let mut message = BASE64_STANDARD.decode(data).ok()?;
        let tag = BASE64_STANDARD.decode(tag).ok().filter(|tag| tag.len() == TAG)?;
        message.extend_from_slice(&tag);
        let payload = Payload { msg: &message, aad: place.as_bytes() };
        let plain = String::from_utf8(self.cipher().decrypt(&iv, payload).ok()?).ok()?;
        Plain::of_kind(kind, plain)
    }
}

/// A value after it was opened.
pub(super) enum Plain {
    /// A text, also bytes and times, which SOPS tells apart.
    Text(String),
    /// A whole number or a float, as JSON has it.
    Number(serde_json::Number),
    /// True or false.
    Bool(bool),
    /// What stood in a comment.
    Comment,
}

impl Plain {
    fn of_kind(kind: &str, plain: String) -> Option<Self> {
        Some(match kind {
            "str" | "bytes" | "time" => Self::Text(plain),
            "int" => Self::Number(plain.parse::<i64>().ok()?.into()),
            "float" => Self::Number(match plain.parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => serde_json::Number::from_f64(plain.parse().ok()?)?,
            }),
            // The first implementation was in Python, whose capitals stayed.
            "bool" => Self::Bool(plain.to_ascii_lowercase().parse().ok()?),
            "comment" => Self::Comment,
            _ => return None,
        })
    }

    /// The node it stands for; nothing for a comment.
    pub(super) fn into_node(self) -> Option<Node> {
        Some(match self {
            Self::Text(text) => Node::Text(text),
            Self::Number(number) => Node::Number(number),
            Self::Bool(yes) => Node::Bool(yes),
            Self::Comment => return None,
        })
    }
}

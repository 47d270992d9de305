//! Age keys, and the data key on its way through them.

use std::{
    collections::BTreeSet,
    fmt,
    io::{Read, Write},
};

use age::{
    Decryptor, Encryptor,
    armor::{ArmoredReader, ArmoredWriter, Format},
    x25519,
};
use secrecy::{ExposeSecret, SecretString};

use super::{SopsError, cipher::DataKey, metadata::AgeEntry};

/// One age X25519 key pair.
#[derive(Clone)]
pub struct Identity(x25519::Identity);

impl fmt::Debug for Identity {
    /// The public half alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.recipient()).finish()
    }
}

impl Identity {
    /// A new key pair from the operating system's randomness.
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// The key pair from its private half, alone or as the file that `age-keygen` writes: one key, with comments.
    pub fn parse(text: &SecretString) -> Result<Self, SopsError> {
        let mut lines =
            text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next(), lines.next()) {
            (Some(line), None) => line.parse().map(Self).map_err(|_| SopsError::BadIdentity),
            _ => Err(SopsError::BadIdentity),
        }
    }

    /// The public half, `age1…`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// The private half, `AGE-SECRET-KEY-1…`.
    pub fn secret(&self) -> SecretString {
        SecretString::from(self.0.to_string().expose_secret().to_owned())
    }

    /// The data key from the entry that is sealed to this key, ours by name first.
    pub(super) fn open_key(&self, entries: &[AgeEntry]) -> Result<DataKey, SopsError> {
        let own = self.recipient();
        let (ours, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.recipient == own);
        for entry in ours.into_iter().chain(others) {
            let decryptor = Decryptor::new_buffered(ArmoredReader::new(entry.enc.as_bytes()));
            let Ok(reader) = decryptor.and_then(|d| d.decrypt(std::iter::once(&self.0 as &dyn age::Identity))) else {
                continue;
            };
            let mut bytes = Vec::with_capacity(32);
            // One byte more than a key: a longer text is none.
            let read = reader.take(33).read_to_end(&mut bytes);
            if let (Ok(_), Some(key)) = (read, DataKey::from_bytes(&bytes)) {
                return Ok(key);
            }
        }
        Err(SopsError::WrongKey)
    }
}

/// Whether a text is an age X25519 recipient.
pub fn check_recipient(text: &str) -> Result<(), SopsError> {
    parse_recipient(text).map(drop)
}

fn parse_recipient(text: &str) -> Result<x25519::Recipient, SopsError> {
    text.parse().map_err(|_| SopsError::BadRecipient(text.escape_debug().take(80).collect()))
}

/// One entry for each recipient, the same recipient once.
pub(super) fn seal_key(key: &DataKey, recipients: &[String]) -> Result<Vec<AgeEntry>, SopsError> {
    if recipients.is_empty() {
        return Err(SopsError::NoRecipient);
    }
    let mut seen = BTreeSet::new();
    recipients
        .iter()
        .filter(|recipient| seen.insert(recipient.as_str()))
        .map(|text| {
            let recipient = parse_recipient(text)?;
            let enc = armoured(key, &recipient).map_err(|error| SopsError::Encryption(error.to_string()))?;
            Ok(AgeEntry { recipient: text.clone(), enc })
        })
        .collect()
}

fn armoured(key: &DataKey, recipient: &x25519::Recipient) -> std::io::Result<String> {
    let encryptor =
        Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient)).map_err(std::io::Error::other)?;
    let armour = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armour)?;
    writer.write_all(key.bytes())?;
    String::from_utf8(writer.finish()?.finish()?).map_err(std::io::Error::other)
}

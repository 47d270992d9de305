//! The names that AWS would draw: request ids, environment ids, access keys, secrets.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// A request id, as Lambda and the other services write them.
pub(crate) fn request_id() -> String {
    draw().to_string()
}

/// 32 hex digits without dashes.
pub(crate) fn token() -> String {
    draw().simple().to_string()
}

/// An access key id of temporary credentials, which AWS begins with `ASIA`.
pub(crate) fn access_key() -> String {
    format!("ASIA{}", &token().to_ascii_uppercase()[..16])
}

/// A secret of 40 characters or more.
pub(crate) fn secret() -> String {
    let mut bytes = draw().as_bytes().to_vec();
    bytes.extend(draw().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

#[expect(clippy::disallowed_methods, reason = "the one place of this crate that draws identities for AWS")]
fn draw() -> Uuid {
    Uuid::new_v4()
}

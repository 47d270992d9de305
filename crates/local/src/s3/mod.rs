//! S3: protocol and signatures by `s3s`, storage by this module.
//!
//! ```text
//!   mod.rs          which operation a request is, who may call
//!   objects.rs      the operations
//!   upload.rs       receiving and checking bodies      multipart.rs  in parts
//!   conditional.rs  If-Match, If-None-Match            list.rs       pages
//!   store.rs        index and files; where writes become atomic
//!   notify.rs       ObjectCreated → orchestrator
//! ```

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::{
    Body, S3Result,
    auth::{S3Auth, SecretKey},
    s3_error,
    service::{S3Service, S3ServiceBuilder},
};
use url::form_urlencoded;

use crate::{
    ACCOUNT,
    errors::ApiError,
    server::Response,
    service::Service,
    sessions::{Session, Sessions},
};
use objects::Objects;

pub(crate) mod conditional;
pub(crate) mod list;
pub(crate) mod multipart;
pub(crate) mod notify;
pub(crate) mod objects;
pub(crate) mod store;
pub(crate) mod upload;

/// Who made a request, for the notifications it causes.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) parent: Option<String>,
}

/// Whose a bucket has to be for a request to it to be served. All of them are this account's.
const EXPECTED_OWNER: &str = "x-amz-expected-bucket-owner";

/// The service as HTTP.
#[derive(Clone)]
pub(crate) struct Http(S3Service);

impl Http {
    pub(crate) fn new(objects: Objects, sessions: Arc<Sessions>) -> Self {
        let mut builder = S3ServiceBuilder::new(objects);
        builder.set_auth(Auth(sessions));
        Self(builder.build())
    }

    /// Serves one request; signatures are checked inside.
    pub(crate) async fn call(&self, request: http::Request<Body>) -> Response {
        if request.headers().get(EXPECTED_OWNER).is_some_and(|owner| owner != ACCOUNT) {
            return ApiError::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied").respond(Service::S3);
        }
        self.0.call(request).await.unwrap_or_else(|error| {
            let message = format!("{error:?}");
            ApiError::internal(Service::S3, message).respond(Service::S3)
        })
    }
}

/// Looks up the secrets that signatures were made with.
struct Auth(Arc<Sessions>);

#[async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.get(access_key) {
            None => {
                Err(s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."))
            }
            Some(session) if session.is_ended() => Err(s3_error!(ExpiredToken, "The provided token has expired.")),
            Some(session) => Ok(SecretKey::from(session.secret.as_str())),
        }
    }
}

/// The parameters of a query.
pub(crate) fn query(uri: &Uri) -> HashMap<String, String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The access key that signed the request, in its header or its URL.
pub(crate) fn access_key(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(authorization) = headers.get(http::header::AUTHORIZATION) {
        return Some(crate::signature::Authorization::parse(authorization.to_str().ok()?)?.access_key.to_owned());
    }
    let credential = query(uri).remove("X-Amz-Credential")?;
    Some(credential.rsplitn(5, '/').nth(4)?.to_owned())
}

/// Whether the signature is in the URL, so that whoever has it may use it.
pub(crate) fn is_presigned(headers: &HeaderMap, uri: &Uri) -> bool {
    !headers.contains_key(http::header::AUTHORIZATION) && uri.query().is_some_and(|query| query.contains("Signature="))
}

/// Refuses temporary credentials that come without their token or with another: the signature alone does not tell.
pub(crate) fn check_token(headers: &HeaderMap, uri: &Uri, session: Option<&Session>) -> Result<(), ApiError> {
    let Some(expected) = session.and_then(|session| session.token.as_ref()) else { return Ok(()) };
    let in_header = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok()).map(str::to_owned);
    if in_header.or_else(|| query(uri).remove("X-Amz-Security-Token")).as_ref() == Some(expected) {
        return Ok(());
    }
    let message = "The provided token is malformed or otherwise invalid.";
    Err(ApiError::new(StatusCode::BAD_REQUEST, "InvalidToken", message))
}

/// The operation's name and `<bucket>/<key>`, told before `s3s` reads the request.
pub(crate) fn operation(method: &Method, uri: &Uri, headers: &HeaderMap) -> (&'static str, String) {
    let path = percent_decode_str(uri.path().trim_start_matches('/')).decode_utf8_lossy().into_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let query = query(uri);
    let has = |name: &str| query.contains_key(name);
    let copies = headers.contains_key("x-amz-copy-source");
    let name = match (method, bucket.is_empty(), key.is_empty()) {
        (&Method::GET, true, _) => "ListBuckets",
        (&Method::GET, _, true) if has("location") => "GetBucketLocation",
        (&Method::GET, _, true) if has("uploads") => "ListMultipartUploads",
        (&Method::GET, _, true) if query.get("list-type").is_some_and(|kind| kind == "2") => "ListObjectsV2",
        (&Method::GET, _, true) => "ListObjects",
        (&Method::PUT, _, true) => "CreateBucket",
        (&Method::HEAD, _, true) => "HeadBucket",
        (&Method::DELETE, _, true) => "DeleteBucket",
        (&Method::POST, _, true) if has("delete") => "DeleteObjects",
        (&Method::GET, _, false) if has("uploadId") => "ListParts",
        (&Method::GET, _, false) => "GetObject",
        (&Method::HEAD, _, false) => "HeadObject",
        (&Method::PUT, _, false) if has("partNumber") => "UploadPart",
        (&Method::PUT, _, false) if copies => "CopyObject",
        (&Method::PUT, _, false) => "PutObject",
        (&Method::DELETE, _, false) if has("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, _, false) => "DeleteObject",
        (&Method::POST, _, false) if has("uploads") => "CreateMultipartUpload",
        (&Method::POST, _, false) if has("uploadId") => "CompleteMultipartUpload",
        _ => "Unknown",
    };
    (name, path)
}

/// A key percent-encoded the way S3 does: space as `+`, slashes as they are.
pub(crate) fn url_encoded(key: &str) -> String {
    let parts: Vec<String> =
        key.split('/').map(|part| form_urlencoded::byte_serialize(part.as_bytes()).collect()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_s3_does() {
        assert_eq!(url_encoded("tmp/a b/ü+c:d.json"), "tmp/a+b/%C3%BC%2Bc%3Ad.json");
    }

    #[test]
    fn operations_are_told_from_requests() {
        let name = |method, uri: &str| operation(&method, &uri.parse().unwrap(), &HeaderMap::new());
        assert_eq!(name(Method::GET, "/b?list-type=2&prefix=a"), ("ListObjectsV2", "b".to_owned()));
        assert_eq!(name(Method::PUT, "/b/a%20b/c?x-id=PutObject"), ("PutObject", "b/a b/c".to_owned()));
        assert_eq!(name(Method::POST, "/b/k?uploads").0, "CreateMultipartUpload");
    }
}

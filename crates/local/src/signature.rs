//! Signature Version 4 of the JSON services, the HTTP API, Lambda and STS: the request is signed again and the results compared.
//!
//! S3 is not checked here: `s3s` does that for headers and presigned URLs, asking [`crate::s3`] for the secret.

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use common::clock::Timestamp;
use http::{StatusCode, header, request::Parts};

use crate::{dates, errors::ApiError, service::Service, sessions::Session};

/// How far a signature's date may be from the machine's, as on AWS.
const SKEW_SECS: u64 = 15 * 60;

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq)]
pub(crate) struct Authorization<'a> {
    pub(crate) access_key: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in text.strip_prefix("AWS4-HMAC-SHA256")?.split(',') {
            match part.trim().split_once('=')? {
                ("Credential", value) => credential = Some(value),
                ("SignedHeaders", value) => signed_headers = Some(value),
                ("Signature", value) => signature = Some(value),
                _ => return None,
            }
        }
        // <key>/<date>/<region>/<service>/aws4_request; only the key may hold a slash itself.
        let mut scope = credential?.rsplitn(5, '/');
        (scope.next()? == "aws4_request").then_some(())?;
        let (service, region, _date, access_key) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        Some(Self { access_key, region, service, signed_headers: signed_headers?, signature: signature? })
    }

    /// That of a request, if it has one that can be read.
    pub(crate) fn of(request: &'a Parts) -> Option<Self> {
        Self::parse(request.headers.get(header::AUTHORIZATION)?.to_str().ok()?)
    }
}

/// Refuses a request that is unsigned, signed by someone unknown or expired, too old, or not with this content.
pub(crate) fn verify(
    service: Service,
    request: &Parts,
    body: &[u8],
    session: Option<&Session>,
    now: Timestamp,
) -> Result<(), ApiError> {
    if !request.headers.contains_key(header::AUTHORIZATION) {
        return Err(refuse(service, "MissingAuthenticationTokenException", "Missing Authentication Token"));
    }
    let authorization = Authorization::of(request).ok_or_else(|| {
        refuse(
            service,
            "IncompleteSignatureException",
            "Authorization header is not in the form of Signature Version 4",
        )
    })?;
    let unknown =
        || refuse(service, "UnrecognizedClientException", "The security token included in the request is invalid.");
    let session = session.ok_or_else(unknown)?;
    let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    if session.token.as_deref() != text("x-amz-security-token") {
        return Err(unknown());
    }
    if session.is_ended() {
        return Err(refuse(service, "ExpiredTokenException", "The security token included in the request is expired"));
    }
    let wrong = |message: &str| refuse(service, "InvalidSignatureException", message);
    let date = text("x-amz-date")
        .and_then(dates::parse_signature_date)
        .ok_or_else(|| wrong("`X-Amz-Date` is missing or not a date"))?;
    if now.secs().abs_diff(date.secs()) > SKEW_SECS {
        return Err(wrong("Signature expired: the date is more than 15 minutes from the server's"));
    }
    if authorization.service != service.name() {
        return Err(wrong(&format!("Credential should be scoped to correct service: '{}'.", service.name())));
    }
    let expected = signature(request, body, &authorization, session, date)
        .ok_or_else(|| wrong("The request cannot be put in canonical form"))?;
    if expected != authorization.signature {
        return Err(wrong(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    Ok(())
}

/// The signature that the holder of the session makes for this request.
fn signature(
    request: &Parts,
    body: &[u8],
    authorization: &Authorization<'_>,
    session: &Session,
    date: Timestamp,
) -> Option<String> {
    let identity =
        Credentials::new(&session.access_key, &session.secret, session.token.clone(), None, "embedded").into();
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(authorization.region)
        .name(authorization.service)
        .time(dates::system_time(date))
        .settings(settings)
        .build()
        .ok()?
        .into();
    let mut headers = Vec::new();
    for name in authorization.signed_headers.split(';') {
        for value in request.headers.get_all(name) {
            headers.push((name, value.to_str().ok()?));
        }
    }
    let host = request.headers.get(header::HOST)?.to_str().ok()?;
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let signable = SignableRequest::new(
        request.method.as_str(),
        format!("http://{host}{path}"),
        headers.into_iter(),
        SignableBody::Bytes(body),
    )
    .ok()?;
    Some(sign(signable, &params).ok()?.into_parts().1)
}

/// The refusal under the name and status that this service gives it.
fn refuse(service: Service, code: &str, message: &str) -> ApiError {
    let status = match service {
        Service::Api | Service::Lambda | Service::Sts => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    // The query protocol drops the suffix, and has a name of its own for a key it does not know.
    let code = match (service, code) {
        (Service::Sts, "UnrecognizedClientException") => "InvalidClientTokenId",
        (Service::Sts, "InvalidSignatureException") => "SignatureDoesNotMatch",
        (Service::Sts, code) => code.trim_end_matches("Exception"),
        (_, code) => code,
    };
    ApiError::new(status, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorization_header_is_taken_apart() {
        let text = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/dynamodb/aws4_request, \
                    SignedHeaders=host;x-amz-date, Signature=ab";
        let parsed = Authorization::parse(text).unwrap();
        assert_eq!((parsed.access_key, parsed.region, parsed.service), ("test", "us-east-1", "dynamodb"));
        assert_eq!((parsed.signed_headers, parsed.signature), ("host;x-amz-date", "ab"));
        assert_eq!(Authorization::parse("Bearer x"), None);
        assert_eq!(Authorization::parse("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=c, Signature=d"), None);
    }
}

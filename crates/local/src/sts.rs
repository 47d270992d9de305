//! STS: who is calling. The query protocol, with XML answers.

use http::StatusCode;
use url::form_urlencoded;

use crate::{
    ACCOUNT,
    errors::{ApiError, escape, respond},
    ids,
    server::Response,
    service::Service,
    sessions::Session,
};

/// The `Action` of a form.
pub(crate) fn action(body: &[u8]) -> Option<String> {
    form_urlencoded::parse(body).find(|(name, _)| name == "Action").map(|(_, value)| value.into_owned())
}

/// Serves one call whose signature is good.
pub(crate) fn call(action: &str, session: Option<&Session>) -> Response {
    if action != "GetCallerIdentity" {
        return ApiError::unknown_operation(Service::Sts, action).respond(Service::Sts);
    }
    let (arn, user) = identity(session);
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>{}</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        escape(&arn),
        escape(&user),
        ids::request_id()
    );
    respond(StatusCode::OK, "text/xml", body)
}

/// ARN and user id of whoever holds the session.
fn identity(session: Option<&Session>) -> (String, String) {
    let function = session.and_then(|session| session.running.as_ref()).map(|running| running.function);
    match (function.and_then(common::stack::Function::from_name), session) {
        (Some(role), Some(session)) => {
            let name = common::stack::Stack::embedded().function(role);
            let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{name}");
            (arn, format!("{}:{name}", session.access_key.replacen("ASIA", "AROA", 1)))
        }
        _ => (format!("arn:aws:iam::{ACCOUNT}:root"), ACCOUNT.to_owned()),
    }
}

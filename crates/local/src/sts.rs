//! STS: who is calling. The query protocol, with XML answers.

use common::stack::{Function, Stack};
use http::StatusCode;
use url::form_urlencoded;

use crate::{
    ACCOUNT, codebuild,
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
    let caller = session.and_then(|session| Some((session, session.running.as_ref()?)));
    let assumed = caller.and_then(|(session, running)| {
        let stack = Stack::embedded();
        let (role, name) = match Function::from_name(running.function) {
            Some(role) => (stack.function(role), stack.function(role)),
            None if running.function == codebuild::CALLER => {
                let build = running.request()?;
                let project = stack.codebuild_project();
                let name = format!("AWSCodeBuild-{}", build.rsplit(':').next().unwrap_or_default());
                (project, name)
            }
            None => return None,
        };
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}");
        Some((arn, format!("{}:{name}", session.access_key.replacen("ASIA", "AROA", 1))))
    });
    assumed.unwrap_or_else(|| (format!("arn:aws:iam::{ACCOUNT}:root"), ACCOUNT.to_owned()))
}

//! A verb that could not be brought to its end: a code, what failed, where, and what to do about it. How it is printed
//! is here as well, for people and for programs.

use std::fmt::Write as _;

use common::aws::AwsError;
use serde_json::{Map, Value, json};

use crate::code::Code;

/// Why a verb could not be brought to its end.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What kind it is.
    pub(crate) code: Code,
    /// What failed, without a full stop.
    pub(crate) message: String,
    /// The single problems, where there are several or where they have places.
    pub(crate) problems: Vec<String>,
    /// Line and column of each problem in the file that has them, counted from 1; as many as there are problems, or none.
    pub(crate) places: Vec<Option<(usize, usize)>>,
    /// For people: the headline, and the problems as they are shown in the file that has them.
    pub(crate) excerpt: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<Box<str>>,
}

/// AWS's codes for a caller who may not do this.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const DENIED: [&str; 3] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];
/// AWS's codes for a signature or a session that counts for nothing.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>
const NOBODY: [&str; 8] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl Failure {
    /// Something failed.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), problems: Vec::new(), places: Vec::new(), excerpt: None, hint: None }
    }

    /// With its problems, one by one.
    pub(crate) fn problems(mut self, problems: Vec<String>) -> Self {
        self.problems = problems;
        self
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// A call to AWS that failed.
    pub(crate) fn aws(error: &AwsError) -> Self {
        let is_one_of = |codes: &[&str]| codes.iter().any(|code| error.is(code));
        if is_one_of(&DENIED) {
            return Self::new(Code::AccessDenied, error.to_string())
                .hint("the policy `<prefix>-operator` of the stack allows what the verbs do; `aws-exe doctor` says who you are");
        }
        // The SDK has no type of its own for what its chain of credentials found.
        if is_one_of(&NOBODY) || (error.code.is_none() && error.message.contains("credential")) {
            return Self::new(Code::NoCredentials, error.to_string()).hint(
                "sign in as for the AWS CLI (`aws sso login`, `AWS_PROFILE`); `aws-exe doctor` says who you are",
            );
        }
        Self::new(Code::AwsFailed, error.to_string())
    }

    /// The line that begins what people are told.
    pub(crate) fn headline(code: Code, message: &str) -> String {
        format!("error[{}]: {message}", code.as_str())
    }

    /// For people: what failed, where, and what to do about it. Ends with a line break.
    pub(crate) fn text(&self) -> String {
        let mut text = self.excerpt.clone().unwrap_or_else(|| {
            let headline = Self::headline(self.code, &self.message);
            self.problems.iter().fold(headline, |text, problem| text + "\n  = " + problem)
        });
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if let Some(hint) = &self.hint {
            let _infallible = writeln!(text, "hint: {hint}");
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".to_owned(), json!(self.code.as_str()));
        error.insert("message".to_owned(), json!(self.message));
        if !self.problems.is_empty() {
            let problem = |(index, problem): (usize, &String)| {
                let place = self.places.get(index).copied().flatten();
                json!({
                    "message": problem, "line": place.map(|(line, _)| line), "column": place.map(|(_, column)| column),
                })
            };
            error.insert("problems".to_owned(), self.problems.iter().enumerate().map(problem).collect());
        }
        if let Some(hint) = &self.hint {
            error.insert("hint".to_owned(), json!(hint));
        }
        error.into()
    }
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        Self::aws(&error)
    }
}

//! Errors on the wire. A service fails with one [`ApiError`]; here it takes the shape that the service's SDK expects.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use s3s::Body;

use crate::{ids, server::Response, service::Service};

/// What went wrong, in AWS's terms.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The error's name, e.g. `ThrottlingException`.
    pub(crate) code: String,
    /// What the caller reads.
    pub(crate) message: String,
}

/// The error's name, attached to a response so that the recorder need not parse bodies.
#[derive(Clone, Debug)]
pub(crate) struct ErrorCode(pub(crate) String);

impl ApiError {
    /// An error that the caller caused (400).
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// An error of any status.
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// An error of this crate or of the machine under it (500).
    pub(crate) fn internal(service: Service, message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, service.internal_error(), message)
    }

    /// An operation that this service does not know or that is not embedded.
    pub(crate) fn unknown_operation(service: Service, operation: &str) -> Self {
        let message = format!("`{operation}` is not part of the embedded AWS");
        match service {
            Service::S3 => Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message),
            Service::Sts => Self::client("InvalidAction", message),
            Service::Lambda => Self::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message),
            Service::Api => Self::new(StatusCode::NOT_FOUND, "NotFound", "Not Found"),
            _ => Self::client("UnknownOperationException", message),
        }
    }

    /// A body that is no JSON or lacks what the operation needs.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::client("SerializationException", message)
    }

    /// The response in the shape of `service`.
    pub(crate) fn respond(&self, service: Service) -> Response {
        let (content_type, body) = match service {
            Service::DynamoDb => {
                let namespace = match self.code.as_str() {
                    "UnknownOperationException"
                    | "UnrecognizedClientException"
                    | "InvalidSignatureException"
                    | "MissingAuthenticationTokenException"
                    | "ExpiredTokenException"
                    | "SerializationException" => "com.amazon.coral.service",
                    "ValidationException" => "com.amazon.coral.validate",
                    _ => "com.amazonaws.dynamodb.v20120810",
                };
                ("application/x-amz-json-1.0", self.json(&format!("{namespace}#{}", self.code)))
            }
            Service::StepFunctions => ("application/x-amz-json-1.0", self.json(&self.code)),
            Service::Ssm | Service::SecretsManager | Service::CodeBuild => {
                ("application/x-amz-json-1.1", self.json(&self.code))
            }
            Service::Lambda => ("application/json", self.json_for_lambda()),
            Service::Api => ("application/json", serde_json::json!({"message": self.message}).to_string()),
            Service::S3 => ("application/xml", self.xml_for_s3()),
            Service::Sts => ("text/xml", self.xml_for_query()),
        };
        let mut response = respond(self.status, content_type, body);
        if service == Service::Lambda
            && let Ok(value) = HeaderValue::from_str(&self.code)
        {
            response.headers_mut().insert("x-amzn-errortype", value);
        }
        response.extensions_mut().insert(ErrorCode(self.code.clone()));
        response
    }

    fn json(&self, kind: &str) -> String {
        serde_json::json!({"__type": kind, "message": self.message}).to_string()
    }

    fn json_for_lambda(&self) -> String {
        let fault = if self.status.is_server_error() { "Server" } else { "User" };
        // Most of Lambda's errors carry `Message`, the signature ones `message`; SDKs read either.
        serde_json::json!({"Type": fault, "Message": self.message, "message": self.message}).to_string()
    }

    fn xml_for_s3(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{}</RequestId></Error>",
            escape(&self.code),
            escape(&self.message),
            ids::token()
        )
    }

    fn xml_for_query(&self) -> String {
        let fault = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            escape(&self.code),
            escape(&self.message),
            ids::request_id()
        )
    }
}

/// A response with a body that is at hand.
pub(crate) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&ids::request_id()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// Text inside an XML element.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

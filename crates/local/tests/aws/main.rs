//! The embedded AWS from outside: through the AWS SDKs, against a free port each, with `examples/lambda_probe.rs` as the
//! functions' binary. One program for all of it, as each would carry every SDK.

mod support;

mod codebuild;
mod dynamodb;
mod faults;
mod http_api;
mod lambda;
mod parameters;
mod restart;
mod run_command;
mod s3;
mod step_functions;
mod time;

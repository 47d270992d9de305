//! What a Task does: it asks a function or S3, again and again as its retriers say.
//!
//! ```text
//!   parameters ─▶ scheduled ─▶ gate (faults, record) ─▶ lambda | s3 ─▶ succeeded, failed or timed out ─▶ result
//! ```
//!
//! Both are asked as `states`, which on AWS is the state machine's role.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    REGION, dates,
    errors::{ApiError, respond},
    gate::Instead,
    ids,
    lambda::{Invocation, Pool},
    record::{Call, Outcome, STATES},
    s3::{objects, store::Object},
    server::{Cut, Response},
    service::Service,
    step_functions::{
        asl::{self, Language, Retrier},
        interpreter::{Failure, Place, Step},
        paths,
    },
};

/// What a try came to. The outer error is the execution's end, which nothing catches.
type Tried = Result<Result<Value, Failure>, Failure>;

impl Step<'_> {
    /// Runs the task; gives the state's output.
    pub(super) async fn task(
        &self,
        place: &mut Place,
        input: &Value,
        resource: &str,
        timeout: Option<u64>,
        retry: &[Retrier],
    ) -> Tried {
        place.used.resize(retry.len(), 0);
        loop {
            let failure = match self.attempt(place, input, resource, timeout).await? {
                Ok(output) => return Ok(Ok(output)),
                Err(failure) => failure,
            };
            let concerned =
                retry.iter().zip(&mut place.used).find(|(r, _)| paths::is_for(&r.error_equals, &failure.error));
            let Some((retrier, used)) = concerned.filter(|(retrier, used)| **used < retrier.max_attempts) else {
                return Ok(Err(failure));
            };
            let delay = delay(retrier, *used);
            *used += 1;
            self.execution.save(place).await?;
            self.at_work.sleep(delay).await;
        }
    }

    /// Asks once, and makes the output of the answer.
    async fn attempt(&self, place: &Place, input: &Value, resource: &str, timeout: Option<u64>) -> Tried {
        let payload = match (self.state.language, &self.state.arguments) {
            (Language::Paths, _) => Ok(self.parameters(input)?),
            (Language::Jsonata, None) => Ok(json!({})),
            (Language::Jsonata, Some(template)) => self.fill(template, &json!({"input": input}), "Arguments", place)?,
        };
        let payload = match payload {
            Ok(payload) => payload,
            Err(failure) => return Ok(Err(failure)),
        };
        let asked = match asl::Service::of(resource) {
            Some(asl::Service::S3) => self.head_object(&payload, timeout).await?,
            _ => self.invoke(resource, timeout, &payload).await?,
        };
        let result = match asked {
            Ok(result) => result,
            Err(failure) => return Ok(Err(failure)),
        };
        match (self.state.language, &self.state.output) {
            (Language::Paths, _) => self.place_result(&place.input, result).map(Ok),
            (Language::Jsonata, None) => Ok(Ok(result)),
            (Language::Jsonata, Some(template)) => {
                self.fill(template, &json!({"input": input, "result": result}), "Output", place)
            }
        }
    }

    /// Gives up waiting for the answer after the state's timeout.
    async fn within<T>(
        &self,
        timeout: Option<u64>,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(seconds) = timeout else { return answer.await };
        let answer = self.at_work.within(Duration::from_secs(seconds), answer).await;
        answer.unwrap_or_else(|| Err(Failure::new("States.Timeout", "")))
    }

    /// Invokes the function once.
    async fn invoke(&self, resource: &str, timeout: Option<u64>, payload: &Value) -> Tried {
        let text = payload.to_string();
        let scheduled = json!({"resource": resource, "input": text});
        self.event("LambdaFunctionScheduled", Some(("lambdaFunctionScheduledEventDetails", scheduled)))?;
        let result = match self.asked.lambda.find(resource) {
            None => Err(Failure::new("Lambda.ResourceNotFoundException", format!("Function not found: {resource}"))),
            Some(pool) => {
                self.event("LambdaFunctionStarted", None)?;
                // Waits for a free environment: the embedded functions have far less concurrency than an account.
                let invocation = pool.invocation(Bytes::from(text), Some(self.execution.arn.clone()));
                self.within(timeout, self.call(pool, invocation)).await
            }
        };
        let result = result.and_then(|body| {
            serde_json::from_slice::<Value>(&body)
                .map_err(|error| Failure::runtime(format!("the function's answer: {error}")))
        });
        self.answered(["LambdaFunction", "lambdaFunction"], &json!({}), &result)?;
        Ok(result)
    }

    /// Invokes the function once, unless the fault script has other plans.
    async fn call(&self, pool: &Arc<Pool>, invocation: Invocation) -> Result<Bytes, Failure> {
        let gate = &self.asked.gate;
        let call = Call {
            starts: Some(invocation.request_id.clone()),
            ..self.recorded(Service::Lambda, "Invoke", pool.spec.name.clone())
        };
        let instead = gate.invoke(&call, self.at_work).await;
        let record = |status, code: Option<&str>| {
            let code = code.map(str::to_owned);
            gate.recorder.record(&call, None, &Outcome { status, code, units: None });
        };
        if let Some(Instead::Refused(error)) = instead {
            record(429, Some(error));
            return Err(Failure::new(error, "injected by the fault script"));
        }
        // Shutting down: the execution is saved where it is, and goes on after the next start.
        let Ok(permit) = pool.enter().await else { return std::future::pending().await };
        let result = self.asked.lambda.run(pool, invocation, permit).await;
        if instead == Some(Instead::Lost) {
            record(200, Some("ErrorAfter"));
            return Err(Failure::new("Lambda.ServiceException", "injected by the fault script"));
        }
        record(200, result.as_ref().err().map(|error| error.kind.as_str()));
        result.map_err(|error| Failure::new(&error.kind, String::from_utf8_lossy(&error.body)))
    }

    /// Asks S3 once what it says of an object without its content.
    async fn head_object(&self, payload: &Value, timeout: Option<u64>) -> Tried {
        let text = |name: &str| {
            let value = payload.get(name).and_then(Value::as_str);
            value.ok_or_else(|| {
                Failure::runtime(format!(
                    "The Parameters '{payload}' could not be used to start the Task: [The value for the field '{name}' \
                     must be a STRING]"
                ))
            })
        };
        let (bucket, key) = (text("Bucket")?, text("Key")?);
        let task = json!({"resourceType": "aws-sdk:s3", "resource": "headObject"});
        let scheduled = with(&task, &json!({"region": REGION, "parameters": payload.to_string()}));
        self.event("TaskScheduled", Some(("taskScheduledEventDetails", scheduled)))?;
        self.event("TaskStarted", Some(("taskStartedEventDetails", task.clone())))?;
        let call = self.recorded(Service::S3, "HeadObject", format!("{bucket}/{key}"));
        let look = async || match objects::find(&self.asked.store, bucket, key) {
            Ok(object) => respond(StatusCode::OK, "application/json", described(&object).to_string()),
            Err(error) => error
                .to_http_response()
                .unwrap_or_else(|error| ApiError::internal(Service::S3, error.to_string()).respond(Service::S3)),
        };
        let answer = async {
            let answer = self.asked.gate.pass_by(&call, None, self.at_work, |_| look()).await;
            answer.map_err(|Cut| Failure::new("S3.SdkClientException", "Unable to execute HTTP request")).and_then(read)
        };
        let result = self.within(timeout, answer).await;
        self.answered(["Task", "task"], &task, &result)?;
        Ok(result)
    }

    /// A call of this execution.
    fn recorded(&self, service: Service, operation: &str, key: String) -> Call {
        Call {
            function: STATES.to_owned(),
            service,
            operation: operation.to_owned(),
            key,
            signer: None,
            parent: Some(self.execution.arn.clone()),
            starts: None,
            bytes: 0,
            running: None,
        }
    }

    /// The event that says what came of it. `names` are what it and its details begin with.
    fn answered(&self, names: [&str; 2], task: &Value, result: &Result<Value, Failure>) -> Result<(), Failure> {
        let (how, details) = match result {
            Ok(output) => ("Succeeded", json!({"output": output.to_string()})),
            Err(failure) => {
                let how = if failure.error == "States.Timeout" { "TimedOut" } else { "Failed" };
                (how, json!({"error": failure.error, "cause": failure.cause}))
            }
        };
        let [kind, name] = names.map(|name| format!("{name}{how}"));
        self.event(&kind, Some((&format!("{name}EventDetails"), with(task, &details))))
    }
}

/// What S3 answered. The names of errors are those of the SDK that Step Functions asks with: an answer to HEAD has no body,
/// so it knows the status alone.
fn read(answer: Response) -> Result<Value, Failure> {
    let (parts, body) = answer.into_parts();
    if parts.status.is_success() {
        let described = serde_json::from_slice(&body.bytes().unwrap_or_default());
        return described.map_err(|error| Failure::runtime(format!("the answer of S3: {error}")));
    }
    let error = if parts.status == StatusCode::NOT_FOUND { "S3.NoSuchKeyException" } else { "S3.S3Exception" };
    let status = parts.status.as_u16();
    Err(Failure::new(error, format!("(Service: S3, Status Code: {status}, Request ID: {})", ids::token())))
}

/// An object as the SDK describes it.
fn described(object: &Object) -> Value {
    let attributes = &object.attributes;
    json!({
        "AcceptRanges": "bytes",
        "ContentLength": attributes.size,
        "ContentType": attributes.headers.content_type,
        "ETag": format!("\"{}\"", attributes.etag),
        "LastModified": dates::iso8601(attributes.modified),
        "Metadata": attributes.headers.metadata,
    })
}

/// The fields of both.
fn with(fields: &Value, more: &Value) -> Value {
    let all = [fields, more].into_iter().filter_map(Value::as_object).flatten();
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// How long to wait before the next try.
fn delay(retrier: &Retrier, used: u32) -> Duration {
    let exponent = i32::try_from(used).unwrap_or(i32::MAX);
    let interval = Duration::from_secs(retrier.interval_seconds).as_secs_f64();
    // A year is longer than any execution.
    let seconds = (interval * retrier.backoff_rate.powi(exponent)).min(365.0 * 86_400.0);
    let delay = Duration::from_secs_f64(seconds.max(0.0));
    retrier.max_delay_seconds.map_or(delay, |max| delay.min(Duration::from_secs(max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_further_and_further_apart() {
        let retrier: Retrier =
            serde_json::from_value(json!({"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxDelaySeconds": 12}))
                .unwrap();
        let delays: Vec<u64> = (0..3).map(|used| delay(&retrier, used).as_secs()).collect();
        assert_eq!(delays, [5, 10, 12]);
    }
}

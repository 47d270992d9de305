//! Sending spans to a collector: before its invocation ends, for a short time, and at nobody's expense.
//!
//! What cannot be sent is dropped: the first time a process says so, and for a while it then does not try again,
//! because a collector that hangs would cost every invocation the whole time that sending may take. Tried again is what
//! the protocol wants tried again, a few times in the time that there is.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;

use super::{
    otlp,
    settings::{self, Headers, Settings},
    span::{Span, SpanId, TraceId},
};
use crate::{
    aws::{Aws, AwsError},
    clock::{Clock, Timestamp},
    http::{Http, HttpError},
    ids::fresh_nonce,
};

/// Spans in one request, as SDKs have it (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`): some 300 KB, of the 20 MiB that a
/// collector takes.
const BATCH: usize = 512;
/// How often a request is sent at most.
const TRIES: u32 = 3;
/// Before the second try, without its random part; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// For how long nothing is sent after a failure, in machine time.
const SILENCE: Duration = Duration::from_secs(60);
/// What is left of an invocation's time for its answer.
const KEPT: Duration = Duration::from_millis(500);

/// Collects spans and sends them.
pub(super) struct Exporter {
    settings: Settings,
    /// By their ids: a step that is repeated within an invocation is told once.
    spans: Mutex<BTreeMap<(TraceId, SpanId), Span>>,
    client: OnceCell<Client>,
    has_warned: AtomicBool,
    /// Nothing is sent before.
    silent_until: Mutex<Timestamp>,
}

/// What is made when the first spans are sent.
struct Client {
    http: Http,
    headers: Headers,
}

/// Why spans were not sent. The URL and the headers are not in it.
#[derive(Debug, thiserror::Error)]
enum Unsent {
    #[error("it took longer than {} ms", .0.as_millis())]
    Late(Duration),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Headers(#[from] AwsError),
    #[error("the parameter of headers: {0}")]
    BadHeaders(&'static str),
    #[error("the collector answered with status {0}")]
    Status(u16),
    #[error("{0}")]
    Rejected(String),
    #[error("failed to write them: {0}")]
    Json(#[from] serde_json::Error),
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Exporter {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            spans: Mutex::default(),
            client: OnceCell::new(),
            has_warned: AtomicBool::new(false),
            silent_until: Mutex::default(),
        }
    }

    pub(super) fn add(&self, spans: impl IntoIterator<Item = Span>) {
        let spans = spans.into_iter().map(|span| ((span.trace, span.id), span));
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
    }

    /// Sends what was collected. `until` is the end of the invocation, in the machine's time.
    pub(super) async fn flush(&self, aws: Option<&Aws>, until: Option<Timestamp>) {
        let spans = std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        let spans: Vec<Span> = spans.into_values().collect();
        let now = Clock::REAL.now();
        if spans.is_empty() || now < *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        let left = until.map_or(Duration::MAX, |until| now.until(until).saturating_sub(KEPT));
        let limit = self.settings.timeout.min(left);
        let sent = tokio::time::timeout(limit, self.send(aws, &spans)).await;
        if let Err(error) = sent.unwrap_or(Err(Unsent::Late(limit))) {
            *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) = Clock::REAL.now().plus(SILENCE);
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, spans = spans.len(), "spans are not sent");
            }
        }
    }

    async fn send(&self, aws: Option<&Aws>, spans: &[Span]) -> Result<(), Unsent> {
        let client = self.client.get_or_try_init(|| self.client(aws)).await?;
        for batch in spans.chunks(BATCH) {
            client.post(&self.settings.url, otlp::body(&self.settings.resource, batch)?).await?;
        }
        Ok(())
    }

    async fn client(&self, aws: Option<&Aws>) -> Result<Client, Unsent> {
        let mut headers = self.settings.headers.clone();
        if let (Some(name), Some(aws)) = (&self.settings.headers_parameter, aws) {
            let kept = parameter(aws, name).await?;
            let kept = settings::headers(kept.expose_secret()).map_err(Unsent::BadHeaders)?;
            headers.retain(|(name, _)| kept.iter().all(|(other, _)| other != name));
            headers.extend(kept);
        }
        Ok(Client { http: Http::new(self.settings.timeout)?, headers })
    }
}

impl Client {
    async fn post(&self, url: &SecretString, body: Vec<u8>) -> Result<(), Unsent> {
        let own =
            [("content-type", "application/json"), ("user-agent", concat!("aws-exe/", env!("CARGO_PKG_VERSION")))];
        let given = self.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
        let headers: Vec<_> = own.into_iter().chain(given).collect();
        let mut pause = FIRST_PAUSE;
        for tried in 1.. {
            let answer = self.http.send("POST", url.expose_secret(), &headers, body.clone()).await;
            let (error, is_passing) = match answer {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    return otlp::rejected(&answer.body).map_or(Ok(()), |told| Err(Unsent::Rejected(told)));
                }
                // The protocol's list of what is tried again.
                Ok(answer) => (Unsent::Status(answer.status), matches!(answer.status, 429 | 502 | 503 | 504)),
                Err(error) => (error.into(), true),
            };
            if tried == TRIES || !is_passing {
                return Err(error);
            }
            tokio::time::sleep(pause.mul_f64(1.0 + jitter())).await;
            pause *= 2;
        }
        unreachable!("the last try returns")
    }
}

/// From 0 to 1, so that many who failed together do not come back together.
fn jitter() -> f64 {
    let digits = fresh_nonce();
    u8::from_str_radix(&digits[..2], 16).map_or(0.0, |byte| f64::from(byte) / 255.0)
}

/// The parameter that has headers; a secret.
async fn parameter(aws: &Aws, name: &str) -> Result<SecretString, AwsError> {
    let action = "read the headers for the collector";
    let request = aws.ssm().get_parameter().name(name).with_decryption(true);
    let answer = request.send().await.map_err(|error| AwsError::of(action, error))?;
    let value = answer.parameter.and_then(|parameter| parameter.value).map(SecretString::from);
    value.ok_or_else(|| AwsError::refused(action, "it has no value"))
}

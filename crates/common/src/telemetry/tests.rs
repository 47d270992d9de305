//! Sending, against a collector of the test's own on the loopback.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::{clock::Clock, ids::OrderNum};

/// A collector that answers each request with the next of its statuses, then with 200; status 0 hangs up.
struct Collector {
    port: u16,
    /// Head and body of each request.
    got: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Collector {
    async fn start(statuses: impl IntoIterator<Item = u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<_>>> = Arc::default();
        let mut statuses: std::collections::VecDeque<u16> = statuses.into_iter().collect();
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                kept.lock().unwrap().push(request);
                let status = statuses.pop_front().unwrap_or(200);
                if status > 0 {
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Self { port, got }
    }

    fn telemetry(&self, further: &[(&str, &str)]) -> Telemetry {
        telemetry(self.port, further)
    }

    fn got(&self) -> Vec<(String, Value)> {
        self.got.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        if body.len() == length.trim().parse::<usize>().unwrap() {
            return (head.clone(), serde_json::from_str(body).unwrap());
        }
    }
}

fn telemetry(port: u16, further: &[(&str, &str)]) -> Telemetry {
    let endpoint = format!("http://127.0.0.1:{port}");
    // However busy the machine is.
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000")];
    Telemetry::load(&Environment::of(endpoint.iter().chain(further).copied()), "worker")
}

fn span() -> [Span; 1] {
    [Span::of(&"r".parse().unwrap(), Place::Run, Timestamp::from_secs(1), Timestamp::from_secs(2))]
}

/// Everything that is logged while it lives.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let logged = Self::default();
        let subscriber = tracing_subscriber::fmt().with_writer(logged.clone()).with_ansi(false).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (logged, guard)
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn without_a_collector_no_span_is_made() {
    for off in [
        Telemetry::default(),
        Telemetry::load(&Environment::of([("OTEL_SERVICE_NAME", "x")]), "worker"),
        telemetry(1, &[("OTEL_SDK_DISABLED", "true")]),
    ] {
        off.record(|| -> [Span; 1] { panic!("nobody asks for it") });
        off.flush(None, None).await;
    }
}

#[tokio::test]
async fn spans_are_sent_once_with_the_headers_that_were_chosen() {
    let collector = Collector::start([]).await;
    let telemetry = collector.telemetry(&[("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b")]);
    telemetry.record(span);
    // A step that is repeated before anything was sent.
    telemetry.record(span);
    telemetry.flush(None, None).await;
    telemetry.flush(None, None).await;
    let got = collector.got();
    assert_eq!(got.len(), 1);
    let (head, body) = &got[0];
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    for line in ["content-type: application/json", "x-team: a b"] {
        assert!(head.lines().any(|there| there == line), "{head}");
    }
    assert_eq!(body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_spans_are_sent_in_several_requests() {
    let collector = Collector::start([]).await;
    let telemetry = collector.telemetry(&[]);
    let (run, at) = ("r".parse().unwrap(), Timestamp::from_secs(1));
    telemetry.record(|| (0..1_025).map(|index| Span::of(&run, Place::Command(OrderNum::of_index(0), index), at, at)));
    telemetry.flush(None, None).await;
    let spans =
        |(_, body): &(String, Value)| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len();
    assert_eq!(collector.got().iter().map(spans).collect::<Vec<_>>(), [512, 512, 1]);
}

#[tokio::test]
async fn what_passes_is_tried_again_with_the_same_spans() {
    let (logged, _guard) = Logged::start();
    let collector = Collector::start([503, 0]).await;
    let telemetry = collector.telemetry(&[]);
    telemetry.record(span);
    telemetry.flush(None, None).await;
    let got = collector.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|(_, body)| *body == got[0].1));
    assert_eq!(logged.lines(), [""; 0]);
}

#[tokio::test]
async fn what_fails_is_told_once_and_then_there_is_silence() {
    for (statuses, further, tries, told) in [
        (&[400, 400][..], &[][..], 1, "the collector answered with status 400"),
        (&[503, 502, 429], &[], 3, "the collector answered with status 429"),
    ] {
        let (logged, _guard) = Logged::start();
        let collector = Collector::start(statuses.iter().copied()).await;
        let telemetry = collector.telemetry(further);
        for _ in 0..3 {
            telemetry.record(span);
            telemetry.flush(None, None).await;
        }
        assert_eq!(collector.got().len(), tries, "the next ones are dropped for a while");
        let lines = logged.lines();
        assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains(told), "{lines:#?}");
        assert!(lines[0].contains("spans are not sent"), "{}", lines[0]);
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_or_hangs_costs_no_more_than_the_chosen_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = listener.local_addr().unwrap().port();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (port, told) in [(hanging, "it took longer than 50 ms"), (gone, "Connection refused")] {
        let (logged, _guard) = Logged::start();
        let secret = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "50")];
        // Of the one that is gone the pauses between the tries are waited for.
        let telemetry = telemetry(port, if port == hanging { &secret } else { &secret[..1] });
        telemetry.record(span);
        telemetry.flush(None, None).await;
        let lines = logged.lines();
        assert!(lines.len() == 1 && lines[0].contains(told) && !lines[0].contains("canary"), "{lines:#?}");
    }
}

#[tokio::test]
async fn an_invocation_at_its_end_sends_nothing() {
    let (logged, _guard) = Logged::start();
    let collector = Collector::start([]).await;
    let telemetry = collector.telemetry(&[]);
    telemetry.record(span);
    telemetry.flush(None, Some(Clock::REAL.now())).await;
    assert_eq!(collector.got(), []);
    assert_eq!(logged.lines().len(), 1);
}

#[tokio::test]
async fn a_variable_that_cannot_be_used_is_told_once() {
    let (logged, _guard) = Logged::start();
    let collector = Collector::start([]).await;
    let telemetry = collector.telemetry(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    telemetry.record(span);
    telemetry.flush(None, None).await;
    let lines = logged.lines();
    assert!(lines.len() == 1 && lines[0].contains("a variable of OpenTelemetry is not used"), "{lines:#?}");
    assert!(lines[0].contains("OTEL_EXPORTER_OTLP_PROTOCOL") && lines[0].contains("http/json"), "{}", lines[0]);
    assert_eq!(collector.got().len(), 1);
}

//! A collector of traces: takes what is sent to it over OTLP/HTTP in JSON, and keeps it.
//!
//! It reads the form of the protocol by itself, without a line of the engine's, so that what it understands other
//! collectors do.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;

use super::{canary, stack::Builder};

/// A collector on a free port of the loopback. At its end what it got is searched for the secrets of the orders.
pub(crate) struct Collector {
    port: u16,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    connections: usize,
    requests: Vec<Request>,
}

/// A request as it came.
#[derive(Clone)]
struct Request {
    head: String,
    body: Vec<u8>,
}

/// A span as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// What the process says of itself, with the span's own: names and values, numbers as texts.
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) failed: bool,
}

impl Sent {
    /// The attribute with this name, without the part that all of the engine's have.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let name = format!("aws_exe.{name}");
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

impl Collector {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let shared = Arc::clone(&kept);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept) = (stream.unwrap(), Arc::clone(&shared));
                kept.lock().unwrap().connections += 1;
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { port, kept }
    }

    /// Its base URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.kept().connections
    }

    /// The heads of all requests, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.kept().requests.iter().map(|request| request.head.clone()).collect()
    }

    /// Everything that was sent, in the order in which it came; what came twice is there twice.
    pub(crate) fn spans(&self) -> Vec<Sent> {
        let requests = self.kept().requests.clone();
        requests.iter().flat_map(|request| spans(&serde_json::from_slice(&request.body).unwrap())).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let all = std::mem::take(&mut self.kept().requests).into_iter();
            canary::assert_none(
                all.map(|request| ("a trace".to_owned(), [request.head.into_bytes(), request.body].concat())),
            );
        }
    }
}

impl Builder {
    /// The functions send traces there, however busy the machine is.
    pub(crate) fn traced(self, collector: &Collector) -> Self {
        self.variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
            .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "10000")
    }
}

/// Answers the requests of a connection until its other end closes it.
fn serve(stream: TcpStream, kept: &Mutex<Kept>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        assert!(request.head.starts_with("post /v1/traces http/1.1\r\n"), "{}", request.head);
        assert!(request.head.contains("\r\ncontent-type: application/json\r\n"), "{}", request.head);
        kept.lock().unwrap().requests.push(request);
        // Whoever is gone does not hear it.
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        if writer.write_all(answer).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    // The names of headers, and of those values that are compared, have no meaning in capitals.
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length?.trim().parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}

fn spans(request: &Value) -> Vec<Sent> {
    let mut all = Vec::new();
    for of_resource in list(&request["resourceSpans"]) {
        let resource = attributes(&of_resource["resource"]);
        for of_scope in list(&of_resource["scopeSpans"]) {
            all.extend(list(&of_scope["spans"]).iter().map(|span| sent(span, &resource)));
        }
    }
    all
}

fn sent(span: &Value, resource: &[(String, String)]) -> Sent {
    let text = |key: &str| span[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {span}")).to_owned();
    let nanos = |key: &str| text(key).parse().unwrap();
    Sent {
        trace: text("traceId"),
        id: text("spanId"),
        parent: span["parentSpanId"].as_str().map(str::to_owned),
        name: text("name"),
        start: nanos("startTimeUnixNano"),
        end: nanos("endTimeUnixNano"),
        attributes: [resource, &attributes(span)].concat(),
        failed: span["status"]["code"] == 2,
    }
}

fn attributes(owner: &Value) -> Vec<(String, String)> {
    let value = |attribute: &Value| {
        let (kind, value) = attribute["value"].as_object().unwrap().iter().next().unwrap();
        match (kind.as_str(), value) {
            ("stringValue" | "intValue", Value::String(text)) => text.clone(),
            ("boolValue", Value::Bool(flag)) => flag.to_string(),
            _ => panic!("what is {attribute}?"),
        }
    };
    let attributes = list(&owner["attributes"]).iter();
    attributes.map(|attribute| (attribute["key"].as_str().unwrap().to_owned(), value(attribute))).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

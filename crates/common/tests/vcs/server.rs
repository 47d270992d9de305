//! A host that has nothing but a recording: a small HTTP/1.1 server, one request a connection.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::recording::{Exchange, Expected, Recording, Reply};

/// What came in.
#[derive(Debug)]
struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// What a recording still has, and what was wrong so far.
#[derive(Debug, Default)]
struct Played {
    left: VecDeque<Exchange>,
    wrong: Vec<String>,
}

/// Plays a recording.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    played: Arc<Mutex<Played>>,
    task: Option<JoinHandle<()>>,
    listener: Option<TcpListener>,
}

/// What each request must have: headers, and no word of the token elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The path of the API's address.
    pub(crate) base: &'static str,
    pub(crate) token: String,
}

impl Server {
    /// Takes a port; connections wait until something is played.
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        Self { address, played: Arc::default(), task: None, listener: Some(listener) }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Answers from now on.
    pub(crate) fn play(&mut self, recording: Recording, rules: Rules) {
        self.played.lock().unwrap().left = recording.exchanges.into();
        let (played, listener) = (Arc::clone(&self.played), self.listener.take().unwrap());
        self.task = Some(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &played, &rules).await;
            }
        }));
    }

    /// Ends, and holds that all that was expected came, and nothing else.
    pub(crate) fn done(self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        let played = self.played.lock().unwrap();
        assert!(played.wrong.is_empty(), "{}", played.wrong.join("\n"));
        assert!(played.left.is_empty(), "never asked: {:?}", played.left);
    }
}

async fn serve(stream: TcpStream, played: &Mutex<Played>, rules: &Rules) {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream).await else { return };
    let (reply, wrong) = {
        let mut played = played.lock().unwrap();
        match played.left.pop_front() {
            None => (None, vec![format!("not expected: {} {}", request.method, request.target)]),
            Some(Exchange { expect, answer }) => (Some(answer), differences(&request, &expect, rules)),
        }
    };
    if !wrong.is_empty() {
        // A status that nobody repeats a request for.
        let answer = b"HTTP/1.1 418 Unexpected\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let sent = stream.write_all(answer).await;
        let mut played = played.lock().unwrap();
        played.wrong.extend(wrong);
        return played.wrong.extend(sent.err().map(|error| error.to_string()));
    }
    let Some(Reply::Given { status, headers, body }) = reply else { return };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let mut head = vec![format!("HTTP/1.1 {status} Recorded")];
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    head.extend([format!("content-length: {}", body.len()), "connection: close".to_owned()]);
    if let Err(error) = stream.write_all(format!("{}\r\n\r\n{body}", head.join("\r\n")).as_bytes()).await {
        played.lock().unwrap().wrong.push(error.to_string());
    }
}

/// One request; `None` where a connection was made for none.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, target, headers, body })
}

/// What a request has that it should not, or has not that it should.
fn differences(request: &Request, expected: &Expected, rules: &Rules) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hold = |what: &str, is: String, should: String| {
        if is != should {
            wrong.push(format!("{what} of {} {}: is {is}, should be {should}", request.method, request.target));
        }
    };
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    hold("method", request.method.clone(), expected.method.clone());
    hold("path", path.to_owned(), format!("{}{}", rules.base, expected.path));
    hold("query", format!("{query:?}"), format!("{:?}", expected.query));
    let body: Option<Value> = serde_json::from_slice(&request.body).ok();
    hold("body", format!("{body:?}"), format!("{:?}", expected.body));
    hold("bytes", request.body.is_empty().to_string(), expected.body.is_none().to_string());
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    for (name, value) in &rules.headers {
        hold(name, header(name), value.clone());
    }
    let agent = format!("aws-exe/{}", env!("CARGO_PKG_VERSION"));
    hold("user-agent", header("user-agent"), agent);
    let content = if expected.body.is_some() { "application/json" } else { "" };
    hold("content-type", header("content-type"), content.to_owned());
    let shown: Vec<&String> = request.headers.values().filter(|value| value.contains(&rules.token)).collect();
    hold("the token in the URL", request.target.contains(&rules.token).to_string(), "false".to_owned());
    hold("headers with the token", (shown.len() <= 1).to_string(), "true".to_owned());
    wrong
}

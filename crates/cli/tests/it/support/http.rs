//! HTTP below the SDKs.

use common::http::Http;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{canary::TEST_CLIENT, stack::Stack, wait};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends one request.
pub(crate) async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let http = Http::new(wait::LIMIT).unwrap();
    let headers = [headers, &[TEST_CLIENT]].concat();
    let answer = http.send(method, url, &headers, body.to_vec()).await.unwrap();
    Answer { status: answer.status, body: answer.body.to_vec() }
}

impl Stack {
    /// POSTs JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    /// POSTs a text that says it is JSON.
    pub(crate) async fn post_text(&self, path: &str, body: &str) -> Answer {
        let url = format!("{}{path}", self.endpoint());
        send("POST", &url, &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// Sends a request with a head as it is written here; gives the status and the whole answer.
    pub(crate) async fn raw(&self, head: &str, body: &str) -> (u16, String) {
        let address = self.endpoint().trim_start_matches("http://");
        let host = if head.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
        let length = body.len();
        let (name, value) = TEST_CLIENT;
        let request =
            format!("{head}\r\n{host}{name}: {value}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, answer)
    }

    /// How often who called what so far: `(function, operation, count)`.
    pub(crate) async fn calls(&self) -> Vec<(String, String, u64)> {
        let answer = send("GET", &format!("{}/_embedded/calls", self.endpoint()), &[], b"").await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let call = |call: &Value| (text(&call["function"]), text(&call["operation"]), call["count"].as_u64().unwrap());
        answer["calls"].as_array().unwrap().iter().map(call).collect()
    }

    /// How often a function called an operation.
    pub(crate) async fn count(&self, function: &str, operation: &str) -> u64 {
        let calls = self.calls().await;
        calls.into_iter().filter(|(f, o, _)| f == function && o == operation).map(|(_, _, count)| count).sum()
    }
}

//! The record of [`crate::record`] as a trace: each invocation with its calls, below the event that caused it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufRead},
};

use common::clock::Timestamp;
use serde::Deserialize;

/// Deeper invocations stand no further to the right: in a long chain each one causes the next.
const DEEPEST: usize = 12;

/// A record that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read.
    #[error("failed to read the record: {0}")]
    Io(#[from] io::Error),
    /// A line, counted from 1, is no call.
    #[error("line {0} of the record is no call: {1}")]
    Line(usize, serde_json::Error),
}

/// A line of the record.
#[derive(Debug, Deserialize)]
struct Call {
    at: Timestamp,
    function: String,
    service: String,
    operation: String,
    key: String,
    outcome: Outcome,
    parent: Option<String>,
    starts: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    status: u16,
    code: Option<String>,
}

/// The record as text: a line a call, with seconds of engine time since the first one, who called what, and how it ended.
/// What an invocation called stands below the call that started it, moved to the right.
pub fn trace(record: impl BufRead) -> Result<String, TraceError> {
    let mut calls: Vec<Call> = Vec::new();
    for (number, line) in record.lines().enumerate() {
        let line = line?;
        calls.push(serde_json::from_str(&line).map_err(|error| TraceError::Line(number + 1, error))?);
    }
    Ok(Trace::of(&calls).text())
}

struct Trace<'a> {
    calls: &'a [Call],
    /// By what they were made in, the calls of the record in their order.
    made_in: BTreeMap<&'a str, Vec<usize>>,
    /// By what was started, the call below which that is shown: the delivery where there are an invoke and its delivery.
    /// Repeated deliveries share their id, and are shown as one.
    started_by: BTreeMap<&'a str, usize>,
}

impl<'a> Trace<'a> {
    fn of(calls: &'a [Call]) -> Self {
        let (mut made_in, mut started_by) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        for (index, call) in calls.iter().enumerate() {
            if let Some(parent) = &call.parent {
                made_in.entry(parent.as_str()).or_default().push(index);
            }
            if let Some(starts) = &call.starts {
                started_by.insert(starts.as_str(), index);
            }
        }
        Self { calls, made_in, started_by }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let is_root = |call: &Call| call.parent.as_deref().is_none_or(|parent| !self.started_by.contains_key(parent));
        let roots = self.calls.iter().enumerate().filter(|(_, call)| is_root(call)).map(|(index, _)| index);
        // What is still to be shown, the next one last; no recursion, for a chain can be thousands of calls deep.
        let mut rest: Vec<(usize, usize)> = roots.map(|index| (index, 0)).collect();
        rest.reverse();
        while let Some((index, depth)) = rest.pop() {
            self.line(index, depth, &mut text);
            let starts = self.calls[index].starts.as_deref().filter(|id| self.started_by.get(id) == Some(&index));
            let below = starts.and_then(|id| self.made_in.get(id)).into_iter().flatten().rev();
            rest.extend(below.map(|below| (*below, depth + 1)));
        }
        text
    }

    fn line(&self, index: usize, depth: usize, text: &mut String) {
        let call = &self.calls[index];
        let since = self.calls[0].at.until(call.at).as_secs_f64();
        let code = call.outcome.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
        let Call { function, service, operation, key, outcome, .. } = call;
        let indent = 2 * depth.min(DEEPEST);
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "{since:>12.3}  {:indent$}{function:<14} {service}:{operation} {key}  {}{code}",
            "", outcome.status
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64, function: &str, operation: &str, parent: &str, starts: &str) -> String {
        let mut call = serde_json::json!({"seq": 1, "at": format!("{at}.000000"), "function": function, "service": "s3",
            "operation": operation, "key": "k", "outcome": {"status": 200}});
        for (name, value) in [("parent", parent), ("starts", starts)] {
            if !value.is_empty() {
                call[name] = value.into();
            }
        }
        format!("{call}\n")
    }

    #[test]
    fn an_invocation_stands_below_the_delivery_that_caused_it() {
        let record = [
            line(10, "client", "PutObject", "", ""),
            line(10, "orchestrator", "Invoke", "pass", "work"),
            line(11, "worker", "Deliver", "pass", "work"),
            line(12, "orchestrator", "UpdateItem", "pass", ""),
            line(13, "worker", "PutObject", "work", ""),
        ];
        let text = trace(record.concat().as_bytes()).unwrap();
        let expected = "       0.000  client         s3:PutObject k  200
       0.000  orchestrator   s3:Invoke k  200
       1.000  worker         s3:Deliver k  200
       3.000    worker         s3:PutObject k  200
       2.000  orchestrator   s3:UpdateItem k  200
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_chain_is_shown_whole() {
        let chain: String =
            (0..5_000).map(|at| line(at, "f", "Deliver", &format!("{at}"), &format!("{}", at + 1))).collect();
        assert_eq!(trace(chain.as_bytes()).unwrap().lines().count(), 5_000);
    }

    #[test]
    fn what_is_no_record_is_named_by_its_line() {
        let record = format!("{}nonsense\n", line(1, "client", "PutObject", "", ""));
        let error = trace(record.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of the record is no call"), "{error}");
        assert_eq!(trace(&b""[..]).unwrap(), "");
    }
}

//! Everything that is stored of a run, as plain JSON: it can be read from a stack ([`crate::gather`]), built by hand, and
//! kept in a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::starts::Start;

/// Names of a stack's tables and buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The table with a row an order.
    pub orders: String,
    /// The table of events.
    pub events: String,
    /// The table of run items.
    pub locks: String,
    /// The bucket with bundles, claims, results and logs.
    pub internal: String,
    /// The bucket with the `done` objects.
    pub done: String,
}

impl Names {
    /// Those of the embedded AWS.
    pub fn embedded() -> Self {
        let name = |what: &str| format!("exe-sys-{what}");
        Self {
            orders: name("orders"),
            events: name("order-events"),
            locks: name("locks"),
            internal: name("internal"),
            done: name("done"),
        }
    }
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// S3's `Last-Modified`, in epoch milliseconds. AWS gives whole seconds, rounded down.
    pub written_ms: u64,
    /// S3's tag of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The content; none when it is no JSON, or was not read (logs, bundles).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Stored {
    /// The last millisecond in which it may have been written.
    pub(crate) fn latest_ms(&self) -> u64 {
        if self.written_ms.is_multiple_of(1_000) { self.written_ms + 999 } else { self.written_ms }
    }

    /// A field of the content.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.body.as_ref()?.get(name).filter(|value| !value.is_null())
    }

    /// A field of the content that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.field(name)?.as_str()
    }
}

/// Everything that is stored of a run, read once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The run.
    pub run_id: String,
    /// Where it was read.
    pub names: Names,
    /// The run item.
    pub item: Option<Value>,
    /// The rows by `order_num`.
    pub rows: BTreeMap<String, Value>,
    /// The events of the run, by `epoch`.
    pub events: Vec<Value>,
    /// Objects of the internal bucket by key: results, claims, requests, what was prepared, logs.
    pub objects: BTreeMap<String, Stored>,
    /// `done`.
    pub done: Option<Stored>,
    /// What the commands of the run wrote into the start log, in order.
    pub starts: Vec<Start>,
}

/// Whose claim, result or request an object is: an order's, or one instance's share of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) order: &'a str,
    pub(crate) instance: Option<&'a str>,
}

impl Evidence {
    pub(crate) fn result(&self, whose: Whose<'_>) -> Option<&Stored> {
        let Whose { order, instance } = whose;
        let part = instance.map_or_else(String::new, |instance| format!("instances/{instance}/"));
        self.objects.get(&format!("tmp/callbacks/runs/{}/{order}/{part}result.json", self.run_id))
    }

    pub(crate) fn claim(&self, whose: Whose<'_>) -> Option<&Stored> {
        self.objects.get(&format!("{}.json", self.claim_stem(whose)))
    }

    pub(crate) fn stop(&self, whose: Whose<'_>) -> Option<&Stored> {
        self.objects.get(&format!("{}.stop.json", self.claim_stem(whose)))
    }

    /// The request to cancel an order, or with `0000` the run.
    pub(crate) fn cancel(&self, order: &str) -> Option<&Stored> {
        self.objects.get(&format!("tmp/callbacks/runs/{}/_cancel/{order}/result.json", self.run_id))
    }

    /// What was prepared for an order: `targets.json`, `dispatch.json`.
    pub(crate) fn prepared(&self, order: &str, what: &str) -> Option<&Stored> {
        self.objects.get(&format!("tmp/exec/{}/{order}/{what}", self.run_id))
    }

    /// The claims and requests to stop, by whose they are and by the rest of their key.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (Whose<'_>, &str)> {
        let prefix = format!("tmp/claims/{}/", self.run_id);
        self.objects.keys().filter_map(move |key| {
            let rest = key.strip_prefix(&prefix)?;
            let (stem, kind) = rest.strip_suffix(".stop.json").map(|stem| (stem, "stop")).or_else(|| {
                let stem = rest.strip_suffix(".json")?;
                Some((stem, "claim"))
            })?;
            Some((whose(stem), kind))
        })
    }

    /// The instances of which there is a claim, a request to stop or a result of their share.
    pub(crate) fn instances<'a>(&'a self, order: &str) -> Vec<&'a str> {
        let reported = format!("tmp/callbacks/runs/{}/{order}/instances/", self.run_id);
        let reports =
            self.objects.keys().filter_map(move |key| key.strip_prefix(&reported)?.strip_suffix("/result.json"));
        let claims = self.claims().filter(|(whose, _)| whose.order == order).filter_map(|(whose, _)| whose.instance);
        let mut instances: Vec<&str> = reports.chain(claims).collect();
        instances.sort_unstable();
        instances.dedup();
        instances
    }

    fn claim_stem(&self, whose: Whose<'_>) -> String {
        let Whose { order, instance } = whose;
        let part = instance.map_or_else(String::new, |instance| format!("/{instance}"));
        format!("tmp/claims/{}/{order}{part}", self.run_id)
    }
}

fn whose(stem: &str) -> Whose<'_> {
    match stem.split_once('/') {
        Some((order, instance)) => Whose { order, instance: Some(instance) },
        None => Whose { order: stem, instance: None },
    }
}

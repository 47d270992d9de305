//! Every S3 key, parameter path, primary key and execution name: formatted and parsed here and nowhere else.

use crate::{
    clock::Timestamp,
    ids::{InstanceId, OrderNum, RunId},
};

/// S3 events below this prefix wake the orchestrator.
pub const CALLBACKS: &str = "tmp/callbacks/runs/";
/// … and with this suffix.
pub const RESULT: &str = "result.json";
/// Below these prefixes of the internal bucket everything is the engine's own; jobs may not name it as a source.
pub const OWN_PREFIXES: [&str; 3] = ["tmp/", "logs/", "worker/"];

/// Which worker binaries there are: a JSON object of SHA-256 in hex by machine (`x86_64`, `aarch64`).
pub const WORKER_BINARIES: &str = "worker/binaries.json";

/// A worker binary.
pub fn worker_binary(sha256: &str) -> String {
    format!("worker/{sha256}")
}

/// What is claimed, stopped and reported by itself: an order, or one instance's share of an SSM order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Share {
    /// The order.
    pub order: OrderNum,
    /// Of an SSM order, the instance.
    pub instance: Option<InstanceId>,
}

impl Share {
    /// An instance's share of an order.
    pub fn of_instance(order: OrderNum, instance: InstanceId) -> Self {
        Self { order, instance: Some(instance) }
    }
}

impl From<OrderNum> for Share {
    fn from(order: OrderNum) -> Self {
        Self { order, instance: None }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.instance {
            None => write!(f, "{}", self.order),
            Some(instance) => write!(f, "{}/{instance}", self.order),
        }
    }
}

/// The order's bundle.
pub fn bundle(run: &RunId, order: OrderNum) -> String {
    format!("tmp/exec/{run}/{order}/exec.zip")
}

/// Packed code, shared by the orders that use it.
pub fn code(run: &RunId, sha256: &str) -> String {
    format!("tmp/exec/{run}/code/{sha256}.zip")
}

/// The run's plan.
pub fn plan(run: &RunId) -> String {
    format!("tmp/exec/{run}/plan.json")
}

/// Everything that reports to the run.
pub fn callbacks(run: &RunId) -> String {
    format!("{CALLBACKS}{run}/")
}

/// The result of an order or of its share on an instance; of the run itself the wake-up that the tick rewrites.
pub fn result(run: &RunId, share: impl Into<Share>) -> String {
    let Share { order, instance } = share.into();
    match instance {
        None => format!("{CALLBACKS}{run}/{order}/{RESULT}"),
        Some(instance) => format!("{}{instance}/{RESULT}", instances(run, order)),
    }
}

/// Everything that instances report of an SSM order.
pub fn instances(run: &RunId, order: OrderNum) -> String {
    format!("{CALLBACKS}{run}/{order}/instances/")
}

/// The instances that an SSM order is pinned to.
pub fn targets(run: &RunId, order: OrderNum) -> String {
    format!("tmp/exec/{run}/{order}/targets.json")
}

/// What the instances of an SSM order are given, while the order lasts.
pub fn dispatch(run: &RunId, order: OrderNum) -> String {
    format!("tmp/exec/{run}/{order}/dispatch.json")
}

/// A request to cancel the order, or with `0000` the run.
pub fn cancel(run: &RunId, order: OrderNum) -> String {
    format!("{CALLBACKS}{run}/_cancel/{order}/{RESULT}")
}

/// Who runs the order or its share, or that the engine ended it.
pub fn claim(run: &RunId, share: impl Into<Share>) -> String {
    format!("tmp/claims/{run}/{}.json", share.into())
}

/// The request to the worker to stop.
pub fn stop(run: &RunId, share: impl Into<Share>) -> String {
    format!("tmp/claims/{run}/{}.stop.json", share.into())
}

/// The whole log.
pub fn log(run: &RunId, share: impl Into<Share>) -> String {
    format!("logs/{run}/{}.log", share.into())
}

/// All logs of a run.
pub fn logs(run: &RunId) -> String {
    format!("logs/{run}/")
}

/// Whose log a key of this run is; nothing for keys that are no log of it.
pub fn parse_log(run: &RunId, key: &str) -> Option<Share> {
    let name = key.strip_prefix(&logs(run))?.strip_suffix(".log")?;
    Some(match name.split_once('/') {
        None => Share::from(name.parse::<OrderNum>().ok()?),
        Some((order, instance)) => Share::of_instance(order.parse().ok()?, instance.parse().ok()?),
    })
}

/// The object in the done bucket that says that the run ended.
pub fn done(run: &RunId) -> String {
    format!("{run}/done")
}

/// The parameter that holds the private half of the run's key.
pub fn sops_key(ssm_prefix: &str, run: &RunId) -> String {
    format!("/{ssm_prefix}/sops-keys/{run}")
}

/// Primary key of the run item.
pub fn run_item(run: &RunId) -> String {
    format!("lock:{run}")
}

/// Primary key of the order's row.
pub fn order_row(run: &RunId, order: OrderNum) -> String {
    format!("{run}:{order}")
}

/// Sort key of an event.
pub fn event(order_name: &str, at: Timestamp) -> String {
    format!("{order_name}:{at}")
}

/// Name of a watchdog execution: at most 64 + 1 + 4 + 1 + 8 of the 80 characters that Step Functions allows. Part of
/// the submission's id is in it because a name stays taken for 90 days.
pub fn execution(run: &RunId, order: OrderNum, submit_id: &str) -> String {
    let digits: String = submit_id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{run}-{order}-{digits}")
}

/// What an object below [`CALLBACKS`] says by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Look at everything: the first message and each tick.
    Wake,
    /// The result of an order.
    Result(OrderNum),
    /// The result of an order's share on an instance.
    Instance(OrderNum, InstanceId),
    /// A request to cancel an order, or with [`OrderNum::RUN`] the run.
    Cancel(OrderNum),
}

/// The run and what is reported to it; nothing for keys that are no callback.
pub fn parse_callback(key: &str) -> Option<(RunId, Callback)> {
    let (run, rest) = key.strip_prefix(CALLBACKS)?.split_once('/')?;
    let run = run.parse().ok()?;
    let parts: Vec<&str> = rest.split('/').collect();
    let callback = match parts[..] {
        [order, RESULT] => match order.parse().ok()? {
            OrderNum::RUN => Callback::Wake,
            order => Callback::Result(order),
        },
        [order, "instances", instance, RESULT] => Callback::Instance(order.parse().ok()?, instance.parse().ok()?),
        ["_cancel", order, RESULT] => Callback::Cancel(order.parse().ok()?),
        _ => return None,
    };
    Some((run, callback))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run() -> impl Strategy<Value = RunId> {
        "[A-Za-z0-9][A-Za-z0-9._-]{0,63}".prop_map(|text| text.parse().unwrap())
    }

    fn share_of(order: OrderNum) -> Share {
        Share::of_instance(order, "i-1".parse().unwrap())
    }

    fn instance() -> impl Strategy<Value = InstanceId> {
        "m?i-[A-Za-z0-9-]{1,40}".prop_map(|text| text.parse().unwrap())
    }

    fn order() -> impl Strategy<Value = OrderNum> {
        (0..9_999_usize).prop_map(OrderNum::of_index)
    }

    proptest! {
        #[test]
        fn callbacks_round_trip(run in run(), order in order(), instance in instance()) {
            let share = Share::of_instance(order, instance.clone());
            prop_assert_eq!(parse_callback(&result(&run, share)), Some((run.clone(), Callback::Instance(order, instance))));
            prop_assert_eq!(parse_callback(&result(&run, order)), Some((run.clone(), Callback::Result(order))));
            for share in [Share::from(order), share_of(order)] {
                let key = log(&run, share.clone());
                prop_assert_eq!(parse_log(&run, &key), Some(share));
            }
            prop_assert_eq!(parse_callback(&cancel(&run, order)), Some((run.clone(), Callback::Cancel(order))));
            prop_assert_eq!(parse_callback(&result(&run, OrderNum::RUN)), Some((run.clone(), Callback::Wake)));
            prop_assert_eq!(parse_callback(&cancel(&run, OrderNum::RUN)), Some((run, Callback::Cancel(OrderNum::RUN))));
        }

        #[test]
        fn execution_names_fit_step_functions(run in run(), order in order()) {
            let name = execution(&run, order, &crate::ids::fresh_nonce());
            prop_assert!(name.len() <= 80);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(key in ".{0,200}") {
            parse_callback(&key);
            parse_callback(&format!("{CALLBACKS}{key}"));
        }
    }

    #[test]
    fn keys_of_others_are_no_callbacks() {
        for key in [
            "tmp/callbacks/runs/r/0001/instances/x/result.json",
            "tmp/callbacks/runs/r/0001/instances/i-1/i-2/result.json",
            "tmp/callbacks/runs/r/1/result.json",
            "tmp/callbacks/runs//0001/result.json",
            "tmp/callbacks/runs/../0001/result.json",
            "tmp/callbacks/runs/r/0001/result.json/x",
            "logs/r/0001.log",
        ] {
            assert_eq!(parse_callback(key), None, "{key}");
        }
        let run: RunId = "r".parse().unwrap();
        for key in ["logs/r/x.log", "logs/r/0001", "logs/r/0001/x.log", "logs/q/0001.log", "logs/r/0001/i-1/i-2.log"] {
            assert_eq!(parse_log(&run, key), None, "{key}");
        }
    }
}

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

/// What a watchdog execution looks for first: if it is there, nothing is left to look after, and nobody is asked.
///
/// Of an order its result. Of the run a key that nobody writes: its wake-up `0000/result.json` is there from the beginning,
/// and a tick that ended with it would leave a run stranded whose lease nobody gives back. It does not end in [`RESULT`],
/// as everything does that a role of the engine or a signed URL may write below [`CALLBACKS`], and wakes nobody.
pub fn watched(run: &RunId, order: OrderNum) -> String {
    if order == OrderNum::RUN { format!("{CALLBACKS}{run}/{order}/never") } else { result(run, order) }
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

/// All logs of the instances of an order.
pub fn logs_of_instances(run: &RunId, order: OrderNum) -> String {
    format!("logs/{run}/{order}/")
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

    fn instance() -> impl Strategy<Value = InstanceId> {
        "m?i-[A-Za-z0-9-]{1,40}".prop_map(|text| text.parse().unwrap())
    }

    fn order() -> impl Strategy<Value = OrderNum> {
        (0..9_999_usize).prop_map(OrderNum::of_index)
    }

    fn callback() -> impl Strategy<Value = Callback> {
        prop_oneof![
            Just(Callback::Wake),
            order().prop_map(Callback::Result),
            (order(), instance()).prop_map(|(order, instance)| Callback::Instance(order, instance)),
            prop_oneof![order(), Just(OrderNum::RUN)].prop_map(Callback::Cancel),
        ]
    }

    fn key_of(run: &RunId, callback: Callback) -> String {
        match callback {
            Callback::Wake => result(run, OrderNum::RUN),
            Callback::Result(order) => result(run, order),
            Callback::Instance(order, instance) => result(run, Share::of_instance(order, instance)),
            Callback::Cancel(order) => cancel(run, order),
        }
    }

    /// A key with one character taken away, put in or replaced, or a part of it doubled.
    fn nearly(key: &str, at: usize, how: usize, other: char) -> String {
        let at = at % (key.len() + 1);
        let (before, after) = key.split_at(at);
        let rest = after.get(1..).unwrap_or_default();
        match how {
            0 => format!("{before}{rest}"),
            1 => format!("{before}{other}{after}"),
            2 => format!("{before}{other}{rest}"),
            _ => format!("{before}{before}{after}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn callbacks_round_trip(run in run(), callback in callback()) {
            let key = key_of(&run, callback.clone());
            prop_assert!(key.starts_with(&callbacks(&run)) && key.ends_with(RESULT));
            prop_assert_eq!(parse_callback(&key), Some((run, callback)));
        }

        #[test]
        fn logs_round_trip(run in run(), order in order(), instance in prop::option::of(instance())) {
            let share = Share { order, instance };
            prop_assert_eq!(parse_log(&run, &log(&run, share.clone())), Some(share));
        }

        /// Whatever is read was written so: there is one key for each callback and each log, and no other is taken for it.
        #[test]
        fn near_misses_are_refused_or_are_the_key_of_something_else(
            run in run(), callback in callback(), instance in prop::option::of(instance()), order in order(),
            at in any::<usize>(), how in 0..4_usize, other in "[0-9a-z/._-]|.",
        ) {
            let other = other.chars().next().unwrap_or('/');
            let key = nearly(&key_of(&run, callback), at, how, other);
            if let Some((run, callback)) = parse_callback(&key) {
                prop_assert_eq!(key_of(&run, callback), key);
            }
            let key = nearly(&log(&run, Share { order, instance }), at, how, other);
            if let Some(share) = parse_log(&run, &key) {
                prop_assert_eq!(log(&run, share), key);
            }
        }

        /// Nothing overwrites anything else.
        #[test]
        fn no_two_things_of_a_run_have_one_key(run in run(), a in order(), b in order(), instance in instance()) {
            let of_order = |order| {
                let shares = [Share::from(order), Share::of_instance(order, instance.clone())];
                let of_share = |share: Share| {
                    [result(&run, share.clone()), claim(&run, share.clone()), stop(&run, share.clone()), log(&run, share)]
                };
                let own = [bundle(&run, order), targets(&run, order), dispatch(&run, order), cancel(&run, order)];
                own.into_iter().chain(shares.into_iter().flat_map(of_share)).collect::<Vec<_>>()
            };
            let mut keys = of_order(a);
            if a != b {
                keys.extend(of_order(b));
            }
            keys.extend([result(&run, OrderNum::RUN), cancel(&run, OrderNum::RUN), plan(&run), code(&run, "5a")]);
            keys.push(watched(&run, OrderNum::RUN));
            let distinct: std::collections::HashSet<_> = keys.iter().collect();
            prop_assert_eq!(distinct.len(), keys.len());
        }

        /// The tick looks for nothing that is reported to the run, and an order's watchdog for that order's result alone.
        #[test]
        fn a_watchdog_is_ended_by_its_own_orders_result(run in run(), order in order()) {
            prop_assert_eq!(parse_callback(&watched(&run, order)), Some((run.clone(), Callback::Result(order))));
            let of_run = watched(&run, OrderNum::RUN);
            prop_assert!(of_run.starts_with(&callbacks(&run)) && !of_run.ends_with(RESULT));
            prop_assert_eq!(parse_callback(&of_run), None);
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
    fn keys_are_the_contracts() {
        let run: RunId = "run-1".parse().unwrap();
        let order = OrderNum::of_index(6);
        let share = || Share::of_instance(order, "i-0a".parse().unwrap());
        let pairs = [
            (bundle(&run, order), "tmp/exec/run-1/0007/exec.zip"),
            (code(&run, "5a"), "tmp/exec/run-1/code/5a.zip"),
            (plan(&run), "tmp/exec/run-1/plan.json"),
            (targets(&run, order), "tmp/exec/run-1/0007/targets.json"),
            (dispatch(&run, order), "tmp/exec/run-1/0007/dispatch.json"),
            (callbacks(&run), "tmp/callbacks/runs/run-1/"),
            (result(&run, OrderNum::RUN), "tmp/callbacks/runs/run-1/0000/result.json"),
            (result(&run, order), "tmp/callbacks/runs/run-1/0007/result.json"),
            (watched(&run, order), "tmp/callbacks/runs/run-1/0007/result.json"),
            (watched(&run, OrderNum::RUN), "tmp/callbacks/runs/run-1/0000/never"),
            (instances(&run, order), "tmp/callbacks/runs/run-1/0007/instances/"),
            (result(&run, share()), "tmp/callbacks/runs/run-1/0007/instances/i-0a/result.json"),
            (cancel(&run, order), "tmp/callbacks/runs/run-1/_cancel/0007/result.json"),
            (cancel(&run, OrderNum::RUN), "tmp/callbacks/runs/run-1/_cancel/0000/result.json"),
            (claim(&run, order), "tmp/claims/run-1/0007.json"),
            (stop(&run, order), "tmp/claims/run-1/0007.stop.json"),
            (claim(&run, share()), "tmp/claims/run-1/0007/i-0a.json"),
            (stop(&run, share()), "tmp/claims/run-1/0007/i-0a.stop.json"),
            (logs(&run), "logs/run-1/"),
            (log(&run, order), "logs/run-1/0007.log"),
            (log(&run, share()), "logs/run-1/0007/i-0a.log"),
            (worker_binary("5a"), "worker/5a"),
            (done(&run), "run-1/done"),
            (sops_key("exe-sys", &run), "/exe-sys/sops-keys/run-1"),
            (run_item(&run), "lock:run-1"),
            (order_row(&run, order), "run-1:0007"),
            (event("build", Timestamp::from_millis(1_500)), "build:1.500000"),
            (execution(&run, order, "0a1b2c3d-4e5f-6789-abcd-ef0123456789"), "run-1-0007-0a1b2c3d"),
        ];
        for (key, expected) in pairs {
            assert_eq!(key, expected);
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
            "tmp/callbacks/runs/r/0000/never",
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

//! Digests by which a job is known as the same one again ([`of_job`]), and an order as unchanged ([`of_order`]).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{request::Rerun, validate::Entry};
use crate::order::{Job, Order, SsmOrder, SsmTargets};

/// What [`of_order`] feeds. Another number when that changes, so that no order of before counts as unchanged by accident.
const FORM: u8 = 1;
/// How much of the SHA-256 an order's digest keeps: 9,999 of them stand in a plan. An order is compared with the one of the
/// same name in one other run, and nothing is gained by making two of one's own collide, so 128 bits are plenty.
const ORDER_DIGEST_BYTES: usize = 16;

/// Digest by which the same submission is known again, whatever the order of its fields.
pub fn of_job(document: &Value, entry: Entry, rerun: Option<&Rerun>) -> String {
    let mut hash = Sha256::new();
    hash.update([match entry {
        Entry::Init => b'i',
        Entry::Ssm => b's',
    }]);
    feed(&mut hash, document);
    if let Some(Rerun { of, from }) = rerun {
        // A document ends where it ends, so what comes after it is no part of another one.
        feed(&mut hash, &json!({"rerun_of": of, "rerun_from": from}));
    }
    hex::encode(hash.finalize())
}

/// Digest of everything that decides what the commands of an order do, as far as a submission knows it. `code` is the
/// SHA-256 of its packed code: a branch that moved is a change, another name for the same files is none.
///
/// Not part of it: what only says when, how long and how many at a time (`timeout`, `start_timeout`, `stop_grace`,
/// `max_parallel`, `max_concurrency`, `max_errors`), what only says how the job ends (`must_succeed`), names other than
/// those of its dependencies, to whom its bundle is sealed, and the values of parameters and secrets: their names are.
///
/// `key` is the run's [digest key](crate::run_item::RunItem::digest_key), without which nobody can try out what
/// `env_vars` a digest stands for. It is fed before the rest; that this is no HMAC does no harm: what is fed has an end of
/// its own, so nobody can lengthen it, and a part of the hash does not let anybody go on with it.
pub fn of_order(key: &str, job: &Job, order: &Order, code: Option<&str>) -> String {
    let mut dependencies: Vec<&str> =
        order.dependencies.iter().map(|index| job.orders[usize::from(*index)].name.as_str()).collect();
    dependencies.sort_unstable();
    let content = json!({
        "cmds": order.cmds,
        "env_vars": order.env_vars,
        // Of two that give the same variable the later one counts, so their order does too.
        "ssm_paths": order.ssm_paths,
        "secret_manager_paths": order.secret_manager_paths,
        "code": code,
        "folder": order.folder,
        "target": order.target.as_str(),
        "ssm": order.ssm.as_ref().map(instances),
        "dependencies": dependencies,
    });
    let mut hash = Sha256::new();
    feed(&mut hash, &json!([key, FORM, content]));
    BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..ORDER_DIGEST_BYTES])
}

/// On which instances, and by which document.
fn instances(ssm: &SsmOrder) -> Value {
    let mut targets = ssm.targets.clone();
    match &mut targets {
        SsmTargets::InstanceIds(ids) => ids.sort_unstable(),
        SsmTargets::Tags(tags) => tags.values_mut().for_each(|values| values.sort_unstable()),
    }
    json!({"targets": targets, "document": ssm.document})
}

/// Feeds a value with its fields in order of name; each part is preceded by its kind and length, so that two different
/// values never feed the same bytes.
fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            hash.update(format!("o{}:", fields.len()));
            for (name, value) in fields {
                hash.update(format!("k{}:{name}", name.len()));
                feed(hash, value);
            }
        }
        Value::Array(items) => {
            hash.update(format!("a{}:", items.len()));
            for item in items {
                feed(hash, item);
            }
        }
        leaf => {
            let text = leaf.to_string();
            hash.update(format!("v{}:{text}", text.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        git,
        intake::validate::{Rules, validate},
    };

    fn rerun(of: &str, from: Option<&str>) -> Rerun {
        Rerun { of: of.parse().unwrap(), from: from.map(str::to_owned) }
    }

    #[test]
    fn the_same_job_has_the_same_digest() {
        let digest = |document: &Value, entry| of_job(document, entry, None);
        let a: Value = serde_json::from_str(r#"{"a":1,"b":["x"]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{ "b":["x"], "a":1 }"#).unwrap();
        assert_eq!(digest(&a, Entry::Init), digest(&b, Entry::Init));
        assert_ne!(digest(&a, Entry::Init), digest(&a, Entry::Ssm));
        assert_ne!(digest(&json!({"a": "1"}), Entry::Init), digest(&json!({"a": 1}), Entry::Init));
        assert_ne!(digest(&json!(["ab"]), Entry::Init), digest(&json!(["a", "b"]), Entry::Init));
    }

    #[test]
    fn a_job_without_a_rerun_keeps_the_digest_of_earlier_releases() {
        let digest = of_job(&json!({"username": "me", "orders": []}), Entry::Init, None);
        assert_eq!(digest, "09d428c47655de1e834cdb1ab00c6abd785feb67cb013ec46c6bd05df7c77dfc");
    }

    #[test]
    fn another_rerun_is_another_submission() {
        let job = json!({"username": "me"});
        let digest = |rerun: Option<&Rerun>| of_job(&job, Entry::Init, rerun);
        let all = [
            digest(None),
            digest(Some(&rerun("a", None))),
            digest(Some(&rerun("b", None))),
            digest(Some(&rerun("a", Some("build")))),
            digest(Some(&rerun("a", Some("0001")))),
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(digest(Some(&rerun("a", Some("build")))), all[3]);
    }

    /// The last order of a job of three, with these fields, after the job's other two.
    fn order_with(fields: &Value) -> String {
        let mut last = json!({"order_name": "c", "cmds": ["make"], "timeout": 60, "execution_target": "lambda"});
        last.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let other = |name: &str| json!({"order_name": name, "cmds": ["true"], "timeout": 60});
        let job = json!({"username": "me", "orders": [other("a"), other("b"), last]});
        digest_of(&job, "key", Some("5a"))
    }

    fn digest_of(job: &Value, key: &str, code: Option<&str>) -> String {
        let rules = Rules {
            entry: Entry::Init,
            max_job_timeout: 86_400,
            ssm_prefix: "exe-sys".to_owned(),
            internal_bucket: "exe-sys-internal".to_owned(),
            account: None,
            source_buckets: Vec::new(),
            git: git::Rules { hosts: vec!["github.com".to_owned()], local_sources: false },
        };
        let job = validate(job, &rules).unwrap();
        of_order(key, &job, job.orders.last().unwrap(), code)
    }

    #[test]
    fn whatever_decides_what_the_commands_do_is_a_change() {
        let on = |fields: Value| {
            let mut order = json!({"execution_target": "ssm", "ssm_targets": {"instance_ids": ["i-1", "i-2"]}});
            order.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            order_with(&order)
        };
        let single = json!({"username": "me", "orders": [{"cmds": ["make check"], "timeout": 1}]});
        let all = [
            order_with(&json!({})),
            order_with(&json!({"cmds": ["make", "make install"]})),
            order_with(&json!({"cmds": ["make make install"]})),
            order_with(&json!({"env_vars": {"A": "1"}})),
            order_with(&json!({"env_vars": {"A": "2"}})),
            order_with(&json!({"env_vars": {"B": "1"}})),
            order_with(&json!({"ssm_paths": ["/team/a", "/team/b"]})),
            order_with(&json!({"ssm_paths": ["/team/b", "/team/a"]})),
            order_with(&json!({"secret_manager_paths": ["team/a"]})),
            order_with(&json!({"git_repo": "o/r", "git_folder": "infra"})),
            order_with(&json!({"execution_target": "codebuild"})),
            order_with(&json!({"dependencies": ["a"]})),
            order_with(&json!({"dependencies": ["a", "b"]})),
            on(json!({})),
            on(json!({"ssm_targets": {"instance_ids": ["i-1"]}})),
            on(json!({"ssm_targets": {"tags": {"Role": "web"}}})),
            on(json!({"ssm_document_name": "mine"})),
            digest_of(&single, "key", Some("5a")),
            digest_of(&single, "key", Some("5b")),
            digest_of(&single, "key", None),
            digest_of(&single, "other", None),
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|digest| digest.len() == 22), "128 bits: {all:?}");
    }

    #[test]
    fn what_does_not_is_none() {
        let plain = order_with(&json!({}));
        for fields in [
            json!({"timeout": 61}),
            json!({"start_timeout": 61}),
            json!({"stop_grace": 1}),
            json!({"must_succeed": false}),
            json!({"order_name": "d"}),
            json!({"queue_id": "third"}),
            json!({"execution_target": "auto"}),
            // The name of the repository and the commit as it was asked for: the code's digest tells.
            json!({"git_repo": "o/r", "commit_hash": "main"}),
            json!({"s3_location": "s3://exe-sys-internal/sources/a.zip"}),
        ] {
            assert_eq!(order_with(&fields), plain, "{fields}");
        }
        let both = |names: [&str; 2]| order_with(&json!({"dependencies": names}));
        assert_eq!(both(["a", "b"]), both(["b", "0001"]));
        let on = |targets: Value| order_with(&json!({"execution_target": "ssm", "ssm_targets": targets}));
        let limits = json!({"instance_ids": ["i-2", "i-1"], "max_concurrency": "1", "max_errors": "50%"});
        assert_eq!(on(json!({"instance_ids": ["i-1", "i-2"]})), on(limits));
    }
}

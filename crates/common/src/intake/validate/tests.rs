//! The rules of the contract, each by the problem it gives; what an accepted job is filled in with.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::order::SsmTargets;

fn rules() -> Rules {
    Rules {
        entry: Entry::Init,
        max_job_timeout: 79_200,
        ssm_prefix: "exe-sys".to_owned(),
        internal_bucket: "internal".to_owned(),
        account: None,
        source_buckets: Vec::new(),
        git: git::Rules { hosts: vec!["github.com".to_owned()], local_sources: false },
    }
}

/// A job of one order with these fields besides, or instead of, what it needs.
fn document(job: Value, order: Value) -> Value {
    let merged = |mut base: Value, over: Value| {
        let (Value::Object(fields), Value::Object(over)) = (&mut base, over) else { panic!("objects") };
        fields.extend(over);
        base
    };
    let order = merged(json!({"cmds": ["true"], "timeout": 60, "execution_target": "lambda"}), order);
    merged(json!({"username": "me", "orders": [order]}), job)
}

fn problems(rules: &Rules, document: &Value) -> Vec<String> {
    validate(document, rules).err().unwrap_or_default()
}

fn accepted(rules: &Rules, document: &Value) -> Job {
    validate(document, rules).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn an_accepted_job_has_every_default() {
    let job = accepted(&rules(), &document(json!({}), json!({})));
    assert_eq!((job.job_timeout, job.presign_expiry, job.flow_label.as_str()), (3600, 7200, "exec"));
    assert_eq!((job.max_parallel, &job.sops_key_ssm_path), (None, &None));
    let order = &job.orders[0];
    assert_eq!((order.name.as_str(), order.queue_id.as_str()), ("order-0001", "0001"));
    assert_eq!((order.start_timeout, order.stop_grace, order.must_succeed), (3600, 10, true));
    assert_eq!((order.target, &order.source), (Target::Lambda, &Source::None));
    assert_eq!(job.topological_order, [0]);
}

#[test]
fn the_default_job_timeout_is_never_above_the_deployments() {
    let short = Rules { max_job_timeout: 600, ..rules() };
    assert_eq!(accepted(&short, &document(json!({}), json!({"start_timeout": 600}))).job_timeout, 600);
    assert_eq!(
        problems(&short, &document(json!({"job_timeout": 601}), json!({"start_timeout": 600}))),
        ["job_timeout: must be at most 600, this deployment's `MAX_JOB_TIMEOUT`, not 601"]
    );
}

#[test]
fn auto_is_lambda_as_long_as_that_lasts() {
    let at = |timeout: u64, grace: u64| {
        let order = json!({"execution_target": "auto", "timeout": timeout, "stop_grace": grace});
        validate(&document(json!({}), order), &rules()).map(|job| job.orders[0].target)
    };
    assert_eq!(at(830, 10), Ok(Target::Lambda));
    assert_eq!(at(831, 10), Ok(Target::Codebuild));
    assert!(at(u64::MAX, 10).is_err());
}

#[test]
fn dependencies_are_found_by_name_number_and_queue_id() {
    let order = |fields: Value| document(json!({}), fields)["orders"][0].clone();
    let orders = json!([
        order(json!({"order_name": "last", "dependencies": ["0002", "q3", "fourth"]})),
        order(json!({})),
        order(json!({"queue_id": "q3", "dependencies": ["order-0002"]})),
        order(json!({"order_name": "fourth"})),
    ]);
    let job = accepted(&rules(), &document(json!({"orders": orders}), json!({})));
    assert_eq!(job.orders[0].dependencies, [1, 2, 3]);
    assert_eq!(job.orders[2].dependencies, [1]);
    assert_eq!(job.topological_order.last(), Some(&0));
    // A name and a queue id of one order may be the same.
    let same = json!({"order_name": "a", "queue_id": "a"});
    assert_eq!(problems(&rules(), &document(json!({}), same)), [] as [&str; 0]);
}

#[test]
fn orders_that_wait_for_the_same_ones_are_told_each_what_is_wrong() {
    let told = |lists: &[&[&str]]| {
        let order = |(index, names): (usize, &&[&str])| {
            let fields = json!({"order_name": format!("o{index}"), "dependencies": names});
            document(json!({}), fields)["orders"][0].clone()
        };
        let orders: Vec<Value> = lists.iter().enumerate().map(order).collect();
        validate(&document(json!({"orders": orders}), json!({})), &rules())
    };
    let job = told(&[&[], &[], &["o1", "o0"], &["o1", "o0"], &["o0", "o1"], &["0001", "o1"]]).unwrap();
    let resolved: Vec<_> = job.orders.iter().map(|order| order.dependencies.as_slice()).collect();
    assert_eq!(resolved, [&[][..], &[], &[1, 0], &[1, 0], &[0, 1], &[0, 1]]);
    let twice = ["o0", "0001"];
    let unknown = ["o0", "nowhere"];
    assert_eq!(
        told(&[&[], &["o2"], &["o2"], &twice, &twice, &unknown, &unknown]).unwrap_err(),
        [
            "orders[2].dependencies[0]: names the order itself",
            "orders[3].dependencies[1]: names orders[0] a second time",
            "orders[4].dependencies[1]: names orders[0] a second time",
            "orders[5].dependencies[1]: `nowhere` is no order's name or queue id",
            "orders[6].dependencies[1]: `nowhere` is no order's name or queue id",
        ]
    );
}

#[test]
fn the_name_that_was_meant_is_the_same_each_time() {
    let orders = ["test-1", "test-3", "test-2"].map(|name| json!({"order_name": name, "cmds": ["true"], "timeout": 1}));
    let mut document = document(json!({"orders": orders}), json!({}));
    document["orders"][0]["dependencies"] = json!(["test-4"]);
    let told = ["orders[0].dependencies[0]: `test-4` is no order's name or queue id; did you mean `test-3`?"];
    for _ in 0..20 {
        assert_eq!(problems(&rules(), &document), told);
    }
}

#[test]
fn an_order_is_found_as_people_name_it() {
    let order = |name: &str, queue_id: &str| {
        let fields = json!({"order_name": name, "queue_id": queue_id});
        document(json!({}), fields)["orders"][0].clone()
    };
    let orders = [order("build", "first"), order("3", "0002"), order("deploy", "0003")];
    let job = accepted(&rules(), &document(json!({"orders": orders}), json!({})));
    for (text, index) in [
        ("build", Some(0)),
        ("first", Some(0)),
        ("1", Some(0)),
        ("0001", Some(0)),
        ("00001", Some(0)),
        ("0002", Some(1)),
        // A name comes before a number.
        ("3", Some(1)),
        ("0003", Some(2)),
        ("4", None),
        ("0", None),
        ("0000", None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("Build", None),
        ("99999999999999999999999", None),
    ] {
        assert_eq!(job.find(text), index, "{text}");
    }
}

#[test]
fn an_order_takes_the_jobs_source_unless_it_has_its_own() {
    let of = |job: Value, order: Value| accepted(&rules(), &document(job, order)).orders.remove(0);
    let git =
        |repo: &str, commit: Option<&str>| Source::Git { repo: repo.to_owned(), commit: commit.map(str::to_owned) };
    let job = || json!({"git_repo": "org/app", "commit_hash": "v1"});
    let inherited = of(job(), json!({}));
    assert_eq!(inherited.source, git("org/app", Some("v1")));
    assert_eq!((&*inherited.git_paths.repo, &*inherited.git_paths.commit), ("git_repo", "commit_hash"));
    let own = of(job(), json!({"git_repo": "org/infra", "commit_hash": "v2", "git_folder": "prod"}));
    assert_eq!((own.source, own.folder.as_deref()), (git("org/infra", Some("v2")), Some("prod")));
    assert_eq!(own.git_paths.commit, "orders[0].commit_hash");
    let zip = of(job(), json!({"s3_location": "s3://internal/a.zip"}));
    assert_eq!(zip.source, Source::S3 { bucket: "internal".to_owned(), key: "a.zip".to_owned() });
    let head = of(json!({"git_repo": "org/app"}), json!({}));
    assert_eq!((head.source, &*head.git_paths.commit), (git("org/app", None), "git_repo"));
}

#[test]
fn sources_that_the_deployment_does_not_allow() {
    let at = |rules: &Rules, location: &str| problems(rules, &document(json!({}), json!({"s3_location": location})));
    let names = "orders[0].s3_location: ";
    assert_eq!(
        at(&rules(), "s3://internal/tmp/x.zip"),
        [format!("{names}may not name the engine's own objects under `tmp/`")]
    );
    assert_eq!(at(&rules(), "s3://internal/logs/x.zip").len(), 1);
    assert_eq!(
        at(&rules(), "s3://team/x.zip"),
        [format!("{names}names a bucket that this deployment does not allow as a source; allowed: `internal`")]
    );
    let more = Rules { source_buckets: vec!["team".parse().unwrap()], ..rules() };
    assert_eq!(at(&more, "s3://team/tmp/x.zip"), [] as [&str; 0]);
    let repo = |repo: &str| problems(&rules(), &document(json!({}), json!({"git_repo": repo})));
    for bad in ["/srv/repo", "file:///srv/repo", "https://elsewhere.example/a/b", "http://github.com/a/b"] {
        assert!(repo(bad).iter().all(|problem| problem.starts_with("orders[0].git_repo: ")), "{bad}");
        assert_eq!(repo(bad).len(), 1, "{bad}");
    }
}

#[test]
fn a_wrong_repository_of_the_job_is_told_once() {
    let job = json!({"git_repo": "/srv/repo"});
    let told = problems(&rules(), &document(job, json!({"commit_hash": "v1", "git_folder": "x"})));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("git_repo: "), "{told:?}");
}

#[test]
fn the_ssm_entry_takes_ssm_orders_alone() {
    let ssm = Rules { entry: Entry::Ssm, ..rules() };
    let told = problems(&ssm, &document(json!({}), json!({})));
    assert_eq!(told[0], "orders[0].execution_target: must be `ssm` at `/ssm`; send other orders to `/init`");
}

#[test]
fn a_document_of_nothing_but_problems_names_so_many_and_counts_the_rest() {
    let orders: Vec<Value> = (0..300).map(|_| json!({"cmds": [], "timeout": 0})).collect();
    let told = problems(&rules(), &document(json!({"orders": orders}), json!({})));
    assert_eq!(told.len(), crate::intake::shape::MAX_PROBLEMS + 1);
    assert!(told.last().unwrap().ends_with(" more problems"), "{told:?}");
}

#[test]
fn variables_that_no_shell_or_kernel_takes() {
    let told = |variables: Value| problems(&rules(), &document(json!({}), json!({"env_vars": variables})));
    for name in ["", "1A", "A-B", "A B", "Ä"] {
        let told = told(json!({name: "x"}));
        assert_eq!(told.len(), 1, "{name}: {told:?}");
        assert!(told[0].contains("is no variable's name"), "{told:?}");
    }
    for name in ENGINE_VARIABLES.into_iter().chain(["AWS_EXE_SYS_EVENTS_DIR", "AWS_EXE_SYS_ANY"]) {
        assert_eq!(told(json!({name: "x"})), [format!("orders[0].env_vars.{name}: is set by the engine")]);
    }
    let large = "x".repeat(MAX_VALUE_BYTES + 1);
    assert_eq!(told(json!({"A": large})), ["orders[0].env_vars.A: must have at most 65536 bytes, not 65537"]);
    let many: serde_json::Map<_, _> = (0..20).map(|i| (format!("V{i}"), "x".repeat(MAX_VALUE_BYTES).into())).collect();
    assert!(told(many.into())[0].starts_with("orders[0].env_vars: must have at most 1048576 bytes in all"));
}

proptest! {
    #[test]
    fn a_graph_is_accepted_exactly_if_it_has_no_cycle(edges in prop::collection::btree_set((0..7_usize, 0..7_usize), 0..14)) {
        let orders: Vec<Value> = (0..7_usize).map(|index| {
            let after: Vec<String> =
                edges.iter().filter(|(from, to)| *from == index && to != from).map(|(_, to)| format!("o{to}")).collect();
            json!({"order_name": format!("o{index}"), "cmds": ["true"], "timeout": 1, "execution_target": "lambda", "dependencies": after})
        }).collect();
        // Taking away what waits for nothing, again and again, leaves exactly the orders on or behind a cycle.
        let mut left: Vec<usize> = (0..7).collect();
        while let Some(at) = left.iter().position(|o| !edges.iter().any(|(from, to)| from == o && to != o && left.contains(to))) {
            left.remove(at);
        }
        match validate(&document(json!({"orders": orders}), json!({})), &rules()) {
            Ok(job) => {
                prop_assert!(left.is_empty());
                let place = |order: usize| job.topological_order.iter().position(|o| usize::from(*o) == order);
                for (from, to) in edges.iter().filter(|(from, to)| from != to) {
                    prop_assert!(place(*to) < place(*from));
                }
            }
            Err(problems) => {
                prop_assert!(!left.is_empty());
                prop_assert_eq!(problems.len(), 1);
                prop_assert!(problems[0].contains("cycle"));
            }
        }
    }

    #[test]
    fn no_text_in_any_field_panics_or_is_shown_with_its_control_characters(text in "\\PC{0,20}|[\\x00-\\x1f]{0,5}") {
        for field in ["order_name", "queue_id", "git_repo", "commit_hash", "git_folder", "s3_location", "sops_key"] {
            let document = document(json!({"git_repo": "org/repo"}), json!({field: text}));
            for problem in problems(&rules(), &document) {
                prop_assert!(problem.starts_with("orders[0]."), "{}", problem);
                prop_assert!(!problem.chars().any(char::is_control), "{:?}", problem);
            }
        }
        for field in ["username", "flow_label", "git_repo", "git_token_location", "sops_key_ssm_path", "commit_hash"] {
            for problem in problems(&rules(), &document(json!({field: text}), json!({}))) {
                prop_assert!(problem.starts_with(field) || problem.starts_with("commit_hash") , "{}", problem);
                prop_assert!(!problem.chars().any(char::is_control), "{:?}", problem);
            }
        }
    }
}

#[test]
fn ssm_orders_name_their_instances_one_way() {
    let of = |order: Value| problems(&rules(), &document(json!({}), order));
    let ssm = |targets: Value| json!({"execution_target": "ssm", "ssm_targets": targets});
    assert_eq!(
        of(json!({"execution_target": "ssm"})),
        ["orders[0].ssm_targets: is missing: an `ssm` order names its instances by id or by tag"]
    );
    for (targets, problem) in [
        (json!({}), "orders[0].ssm_targets: names no instance; use `instance_ids` or `tags`"),
        (
            json!({"instance_ids": ["i-1"], "tags": {"A": "b"}}),
            "orders[0].ssm_targets: names instances by `instance_ids` and by `tags`; use one of them",
        ),
        (
            json!({"instance_ids": ["i-1", "web"]}),
            "orders[0].ssm_targets.instance_ids[1]: `web` must be an instance id such as `i-0123456789abcdef0` or `mi-0123456789abcdef0`",
        ),
        (json!({"instance_ids": ["i-1", "i-1"]}), "orders[0].ssm_targets.instance_ids[1]: names `i-1` a second time"),
        (json!({"tags": {}}), "orders[0].ssm_targets.tags: names no tag"),
        (json!({"tags": {"A": []}}), "orders[0].ssm_targets.tags.A: must have 1 to 50 values, not 0"),
        (
            json!({"tags": {"A": "b", "C": "d"}, "max_errors": "1"}),
            "orders[0].ssm_targets.max_errors: counts within one command and works with at most 50 instance ids or a single tag; use several orders",
        ),
        (
            json!({"tags": {"A": "b"}, "max_concurrency": "none"}),
            "orders[0].ssm_targets.max_concurrency: must be a number from 1 or a percentage up to `100%`, not `none`",
        ),
    ] {
        assert_eq!(of(ssm(targets)), [problem]);
    }
    let many: Vec<_> = (0..1_001).map(|number| format!("i-{number}")).collect();
    let found = of(ssm(json!({"instance_ids": many})));
    assert!(
        found.len() == 1 && found[0].contains("ssm_targets.instance_ids") && found[0].contains("1000"),
        "{found:?}"
    );
    let batch: Vec<_> = (0..51).map(|number| format!("i-{number}")).collect();
    assert!(of(ssm(json!({"instance_ids": batch, "max_concurrency": "1"})))[0].contains("at most 50 instance ids"));
    assert_eq!(
        of(json!({"execution_target": "codebuild", "ssm_targets": {"instance_ids": ["i-1"]}})),
        ["orders[0].ssm_targets: is only for orders with `execution_target` `ssm`"]
    );
    let order = accepted(&rules(), &document(json!({}), ssm(json!({"tags": {"Role": "web"}, "max_errors": "10%"}))));
    let expected = SsmTargets::Tags([("Role".to_owned(), vec!["web".to_owned()])].into());
    let order = &order.orders[0];
    assert_eq!((order.stop_grace, &order.ssm.as_ref().unwrap().targets), (30, &expected));
}

#[test]
fn every_target_has_a_longest_timeout() {
    let of = |target: &str, timeout: u64, most: u64| {
        let order = json!({"execution_target": target, "timeout": timeout, "stop_grace": 0,
            "ssm_targets": if target == "ssm" { json!({"instance_ids": ["i-1"]}) } else { Value::Null }});
        let mut order = order;
        if target != "ssm" {
            order.as_object_mut().unwrap().remove("ssm_targets");
        }
        problems(&Rules { max_job_timeout: most, ..rules() }, &document(json!({}), order))
    };
    for (target, most) in [("codebuild", MAX_CODEBUILD_SECONDS), ("ssm", MAX_SSM_SECONDS)] {
        assert!(of(target, most, 1_000_000).is_empty());
        assert!(of(target, most + 1, 1_000_000)[0].starts_with("orders[0].timeout: "));
        assert!(of(target, 79_201, 79_200)[0].contains("`MAX_JOB_TIMEOUT`"));
    }
    assert!(of("lambda", 841, 79_200)[0].contains("a `lambda` order may take"));
}

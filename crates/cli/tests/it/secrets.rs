//! Credentials: where they come from, who gets them, and that nobody else does.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::sops::Identity;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::{Failed, Stack, Succeeded, expect, expect::expect_success, job, stack::INTERNAL};

/// Values that may be nowhere but in the commands' environment.
const PARAMETER: &str = "kanarienvogel-parameter-7f3e";
const SECRET: &str = "kanarienvogel \"secret\" /+? 91ab";
const MULTI_LINE: &str = "first-line-of-canary-11\nsecond-line-of-canary-22\n";
const PLAIN: &str = "no-canary-at-all";

impl Stack {
    async fn put_parameter(&self, name: &str, value: &str) {
        use aws_sdk_ssm::types::ParameterType::SecureString;
        self.aws.ssm().put_parameter().name(name).value(value).r#type(SecureString).send().await.unwrap();
    }

    async fn put_secret(&self, name: &str, value: &str) {
        self.aws.secrets().create_secret().name(name).secret_string(value).send().await.unwrap();
    }
}

#[tokio::test]
async fn secrets_win_over_parameters_and_these_over_env_vars() {
    let stack = Stack::start().await;
    stack.put_parameter("/app/db-password", PARAMETER).await;
    stack.put_parameter("/app/many", r#"{"BOTH": "parameter", "ALL": "parameter"}"#).await;
    stack.put_secret("app", r#"{"ALL": "secret-wins", "TOKEN": "tok-en-1"}"#).await;
    stack.put_secret("packed", &BASE64_STANDARD.encode(r#"{"PACKED": "packed-value"}"#)).await;
    stack.put_secret("team/plain-text", "just text").await;
    let out = stack.path("out");
    let show = "echo \"$DB_PASSWORD|$BOTH|$ALL|$TOKEN|$PACKED|$PLAIN_TEXT|$MINE\"";
    let job = job()
        .order("a")
        .its("env_vars", json!({"DB_PASSWORD": "env", "BOTH": "env", "ALL": "env", "MINE": PLAIN}))
        .its("ssm_paths", ["/app/db-password", "/app/many"].to_vec())
        .its("secret_manager_paths", ["app", "packed", "team/plain-text"].to_vec())
        .cmds([format!("{show} > '{}'", out.display())]);
    expect_success(&stack.submit(&job).await).await;
    let wanted = format!("{PARAMETER}|parameter|secret-wins|tok-en-1|packed-value|just text|{PLAIN}\n");
    assert_eq!(std::fs::read_to_string(out).unwrap(), wanted);
}

#[tokio::test]
async fn no_secret_value_is_stored_or_logged_in_any_form() {
    let stack = Stack::start().await;
    stack.put_parameter("/bird", PARAMETER).await;
    stack.put_parameter("/lines", MULTI_LINE).await;
    stack.put_secret("canary", &json!({"SECRET": SECRET}).to_string()).await;
    let tell = |order: &str| {
        [
            format!("echo {order}; env"),
            "echo \"$BIRD\" \"$SECRET\"; echo \"$LINES\" >&2".to_owned(),
            // In two writes, encoded, and inside of JSON.
            "printf '%.12s' \"$BIRD\"; sleep 0.1; printf '%s\\n' \"${BIRD#????????????}\"".to_owned(),
            "printf %s \"$BIRD\" | base64; printf %s \"$SECRET\" | base64".to_owned(),
            "echo \"{\\\"found\\\": \\\"$BIRD\\\"}\" > $AWS_EXE_SYS_EVENTS_DIR/leak.json".to_owned(),
            "echo '{not json' \"$BIRD\" > $AWS_EXE_SYS_EVENTS_DIR/broken.json".to_owned(),
            "echo \"$PLAIN\"; echo \"$BIRD\" >&2; exit 3".to_owned(),
        ]
    };
    let order = |job: crate::support::job::Job, name: &str| {
        job.order(name)
            .its("env_vars", json!({"PLAIN": PLAIN}))
            .its("ssm_paths", ["/bird", "/lines"].to_vec())
            .its("secret_manager_paths", ["canary"].to_vec())
            .cmds(tell(name))
    };
    let run = stack.submit(&order(order(job(), "a").tolerated(), "b")).await;
    expect(&run, Failed, [("a", Failed), ("b", Failed)]).await;
    let log = run.result_of("a").await["log"].as_str().unwrap().to_owned();
    assert!(log.contains(PLAIN), "what is no secret is not masked: {log}");
    let url_escaped =
        SECRET.replace(' ', "%20").replace('"', "%22").replace('/', "%2F").replace('+', "%2B").replace('?', "%3F");
    let json_escaped = SECRET.replace('"', "\\\"");
    let mut forbidden: Vec<String> =
        [PARAMETER, SECRET].into_iter().chain(MULTI_LINE.lines()).map(str::to_owned).collect();
    forbidden.extend([PARAMETER, SECRET].map(|value| BASE64_STANDARD.encode(value).trim_end_matches('=').to_owned()));
    forbidden.extend([url_escaped, json_escaped, "X-Amz-Signature=".to_owned(), "AGE-SECRET-KEY".to_owned()]);
    for (place, bytes) in stack.everything().await {
        let text = String::from_utf8_lossy(&bytes);
        for value in &forbidden {
            assert!(!text.contains(value), "`{value}` is in {place}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_named_with_its_place_and_nothing_is_left() {
    let stack = Stack::start().await;
    stack.put_parameter("/bad", r#"{"CALLBACK_URL": "mine"}"#).await;
    let job =
        job().order("a").its("ssm_paths", ["/none", "/bad"].to_vec()).its("secret_manager_paths", ["nothing"].to_vec());
    let answer = stack.post("/init", &json!({"job": job.document()})).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["errors"],
        json!([
            "orders[0].ssm_paths[0]: `/none` is no parameter that this deployment can read",
            "orders[0].ssm_paths[1]: `/bad` gives `CALLBACK_URL`, which the engine sets itself",
            "orders[0].secret_manager_paths[0]: `nothing` is no secret that this deployment can read",
        ])
    );
    assert_eq!(stack.items("exe-sys-locks").await.len(), 0);
    assert_eq!(stack.parameters().await, ["/bad"]);
}

/// The bundle of the run's first order, opened by this identity.
async fn opened(stack: &Stack, run_id: &str, identity: &Identity) -> bool {
    let zip = stack.object(INTERNAL, &format!("tmp/exec/{run_id}/0001/exec.zip")).await.unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let document = std::io::read_to_string(archive.by_name("secrets.enc.json").unwrap()).unwrap();
    assert!(!document.contains(PLAIN));
    common::sops::open(&document, identity).is_ok_and(|variables| variables["PLAIN"].expose_secret() == PLAIN)
}

#[tokio::test]
async fn the_owner_of_a_recipient_can_open_the_bundle_and_nobody_else() {
    let stack = Stack::start().await;
    let (owner, stranger) = (Identity::generate(), Identity::generate());
    let job = job().order("a").its("env_vars", json!({"PLAIN": PLAIN})).its("sops_key", owner.recipient());
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    assert!(opened(&stack, &run.id, &owner).await);
    assert!(!opened(&stack, &run.id, &stranger).await);
}

#[tokio::test]
async fn a_key_of_the_jobs_own_is_used_and_never_deleted() {
    let stack = Stack::start().await;
    let identity = Identity::generate();
    stack.put_parameter("/team/age-key", identity.secret().expose_secret()).await;
    let job = job()
        .with("sops_key_ssm_path", "/team/age-key")
        .order("a")
        .its("env_vars", json!({"PLAIN": PLAIN}))
        .cmds([format!("[ \"$PLAIN\" = '{PLAIN}' ]")]);
    let run = stack.submit(&job).await;
    let ended = expect(&run, Succeeded, [("a", Succeeded)]).await;
    assert_eq!(ended.rows[0]["sops_key_ssm_path"], "/team/age-key");
    assert!(opened(&stack, &run.id, &identity).await);
    assert_eq!(stack.parameters().await, ["/team/age-key"]);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let stack = Stack::start().await;
    stack.put_parameter("/team/no-key", "hunter2-canary").await;
    let job = job().with("sops_key_ssm_path", "/team/no-key").order("a");
    let answer = stack.post("/init", &json!({"job": job.document()})).await;
    assert_eq!(answer.status, 400);
    let told = answer.json()["errors"].to_string();
    assert!(told.contains("sops_key_ssm_path: ") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_short_secret_is_named_in_an_event_and_not_masked() {
    let stack = Stack::start().await;
    stack.put_parameter("/short", r#"{"PIN": "123", "TOKEN": "1234"}"#).await;
    let run = stack.submit(&job().order("a").its("ssm_paths", json!(["/short"])).cmds(["echo \"$PIN $TOKEN\""])).await;
    expect_success(&run).await;
    assert_eq!(run.result_of("a").await["log"], "123 ***\n");
    let events = run.events_of("a").await;
    let told: Vec<_> = events.iter().filter(|event| event["event_type"] == "secret_not_masked").collect();
    assert_eq!(told.len(), 1, "{events:?}");
    assert_eq!((&told[0]["status"], &told[0]["data"]["variable"]), (&"warning".into(), &"PIN".into()));
}

#[tokio::test]
async fn more_secrets_than_can_be_masked_are_refused() {
    let stack = Stack::start().await;
    for name in ["a", "b", "c"] {
        stack.put_secret(name, &"x".repeat(60_000)).await;
    }
    let of = |names: &[&str]| job().order("o").its("secret_manager_paths", json!(names)).cmds(["true"]);
    let told = stack.refused_job(&of(&["a", "b", "c"]).document()).await;
    // And the secrets that every order of the tests has.
    let wanted = "orders[0]: its secrets must have at most 131072 bytes in all, not 180";
    assert!(told.len() == 1 && told[0].starts_with(wanted), "{told:?}");
    stack.assert_untouched(&[]).await;
    expect_success(&stack.submit(&of(&["a", "b"])).await).await;
}

#[tokio::test]
async fn a_bundle_or_code_that_was_exchanged_is_not_run() {
    let stack = Stack::start().await;
    let zip = crate::sources::zipped(&[("a.txt", "top")]);
    stack.put_object(INTERNAL, "sources/app.zip", zip.clone()).await;
    let gate = stack.path("go");
    let held = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let code = "s3://exe-sys-internal/sources/app.zip";
    let job = job().order("gate").cmds([held]).order("bundle").tolerated().after(["gate"]).cmds(["echo ran"]);
    let job = job.order("code").tolerated().after(["gate"]).its("s3_location", code).cmds(["echo ran"]);
    let run = stack.submit(&job).await;
    let bundle = stack.object(INTERNAL, &format!("tmp/exec/{}/0001/exec.zip", run.id)).await.unwrap();
    stack.put_object(INTERNAL, &format!("tmp/exec/{}/0002/exec.zip", run.id), bundle).await;
    let key = format!("tmp/exec/{}/code/{}.zip", run.id, common::bundle::digest(&zip));
    assert!(stack.object(INTERNAL, &key).await.is_some(), "{key}");
    stack.put_object(INTERNAL, &key, crate::sources::zipped(&[("a.txt", "other")])).await;
    std::fs::write(gate, "").unwrap();
    run.done().await;
    for name in ["bundle", "code"] {
        let result = run.result_of(name).await;
        assert_eq!((&result["status"], &result["log"]), (&"failed".into(), &"".into()), "{result}");
        assert!(result["reason"].as_str().unwrap().contains("SHA-256"), "{result}");
    }
}

#[tokio::test]
async fn keys_of_runs_are_encrypted_with_the_key_of_the_deployment() {
    let arn = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let stack = Stack::start().variable("AWS_EXE_SYS_KMS_KEY_ARN", arn).await;
    expect_success(&stack.submit(&job().order("a")).await).await;
    let is_put = |request: &&(String, Vec<u8>)| String::from_utf8_lossy(&request.1).contains("AmazonSSM.PutParameter");
    let captured = stack.captured();
    let puts: Vec<String> =
        captured.iter().filter(is_put).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert_eq!(puts.len(), 1);
    assert!(puts[0].contains(&format!(r#""KeyId":"{arn}""#)), "{}", puts[0]);
}

#[tokio::test]
async fn a_warm_worker_keeps_the_key_of_its_last_run_alone() {
    let stack = Stack::start().concurrency(1).record().await;
    let job = job().order("a").cmds([":"]).order("b").after(["a"]).cmds([":"]);
    let (first, second) = (stack.submit(&job).await, stack.submit(&job).await);
    for run in [&first, &second] {
        expect_success(run).await;
    }
    let third = stack.submit(&job).await;
    expect_success(&third).await;
    let orders: Vec<String> = stack
        .recorded()
        .iter()
        .filter(|call| call["function"] == "worker" && call["operation"] == "GetObject")
        .map(|call| call["key"].as_str().unwrap().split('/').nth(3).unwrap().to_owned())
        .collect();
    let keys: Vec<String> = stack
        .recorded()
        .iter()
        .filter(|call| call["function"] == "worker" && call["operation"] == "GetParameter")
        .map(|call| call["key"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    // Each time that an order of another run than before comes, and no other.
    let mut changes = orders.clone();
    changes.dedup();
    assert_eq!(orders.len(), 6);
    assert_eq!(keys, changes);
    assert_eq!(keys.last().unwrap(), third.id.as_str());
}

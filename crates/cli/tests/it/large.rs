//! Jobs whose rows fill more than one page of an index, and orders whose commands fill more than a row.

use crate::support::{Stack, expect::expect_success, job, stack::INTERNAL};

#[tokio::test]
async fn rows_of_more_than_a_megabyte_come_in_pages_and_all_are_there() {
    let stack = Stack::start().await;
    let long = format!(": {}", "x".repeat(12_000));
    let job = (0..120).fold(job(), |job, number| job.order(&format!("o{number}")).cmds([long.as_str(), "true"]));
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    let (rows, pages) = run.rows_and_pages().await;
    assert!(pages >= 2, "{pages} pages");
    let bytes: usize = rows.iter().map(|row| row.to_string().len()).sum();
    assert!(bytes > 1_048_576, "{bytes} bytes");
    assert!(rows.iter().all(|row| row["cmds"][0] == long.as_str()));
}

#[tokio::test]
async fn commands_that_fill_more_than_a_row_run_whole() {
    let stack = Stack::start().await;
    let file = stack.path("count");
    let command = format!("echo . >> '{}' # {}", file.display(), "x".repeat(60_000));
    let run = stack.submit(&job().order("a").cmds(vec![command; 12])).await;
    let ended = expect_success(&run).await;
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 12);
    let cmds = ended.rows[0]["cmds"].as_array().unwrap();
    assert!(ended.rows[0].to_string().len() < 200_000);
    assert_eq!(cmds.last().unwrap(), "… 11 more commands, whole in the order's bundle");
}

#[tokio::test]
async fn a_job_too_large_for_a_request_is_taken_from_s3() {
    let stack = Stack::start().await;
    let long = format!(": {}", "x".repeat(60_000));
    let job = (0..120).fold(job(), |job, number| job.order(&format!("o{number}")).cmds([long.as_str()]));
    let document = job.document().to_string();
    assert!(document.len() > 6 * 1024 * 1024);
    let direct = stack.post_text("/init", &format!(r#"{{"job":{document}}}"#)).await;
    assert_eq!(direct.status, 413);
    stack.put_object(INTERNAL, "jobs/large.json", document).await;
    let answer = stack.post_text("/init", r#"{"payload_s3_uri":"s3://exe-sys-internal/jobs/large.json"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    expect_success(&stack.run(answer.json(), &job)).await;
}

//! Figures, printed and not judged: machines differ.

use common::clock::Clock;

use crate::support::{
    Cancelled, Stack, StartLog,
    aws_exe::{call, command},
    expect,
    expect::expect_success,
    job, wait,
};

/// As many as the figure asks for.
const CHAIN: u32 = 40;

#[tokio::test]
async fn figures() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hello.json");
    let began = Clock::REAL.now();
    assert_eq!(call(command(folder.path(), &["run", example])).await.code, 0);
    println!("hello.json from start to exit: {:?}", began.until(Clock::REAL.now()));

    let stack = Stack::start().await;
    let chain = (1..CHAIN).fold(job().order("o0"), |job, number| {
        job.order(&format!("o{number}")).after([format!("o{}", number - 1).as_str()])
    });
    expect_success(&stack.submit(&chain).await).await;
    let before = stack.calls().await;
    let warm = stack.submit(&chain).await;
    let ended = expect_success(&warm).await;
    let seconds = |index: usize, field: &str| ended.rows[index][field].as_str().unwrap().parse::<f64>().unwrap();
    let took = seconds(ended.rows.len() - 1, "ended_at") - seconds(0, "dispatched_at");
    println!("a warm chain of {CHAIN}: {:.1} ms an order", took * 1000.0 / f64::from(CHAIN));
    let mut all = 0;
    for (function, operation, count) in stack.calls().await {
        let earlier = before.iter().find(|(f, o, _)| (f, o) == (&function, &operation)).map_or(0, |(.., count)| *count);
        let new = count - earlier;
        if function != "client" && new > 0 {
            all += new;
            println!("  {function} {operation}: {new}");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
    let per_order = all as f64 / f64::from(CHAIN);
    println!("calls an order, deliveries of events included: {per_order:.1}");
}

#[tokio::test]
async fn from_cancel_to_the_last_child_gone() {
    const GRACE: u64 = 2;
    let stack = Stack::start().await;
    let starts = StartLog::of(&stack);
    // Neither the shell nor its child obeys SIGINT.
    let stubborn = format!("trap '' INT; {}; sleep 3600", starts.note("$$"));
    let run = stack.submit(&job().order("a").stop_grace(GRACE).cmds([stubborn])).await;
    let shell = wait::until("the shell's number", async || starts.lines().first().cloned()).await;
    let began = Clock::REAL.now();
    run.cancel("0000").await;
    wait::until("the shell to be gone", async || {
        (!std::path::Path::new(&format!("/proc/{shell}")).exists()).then_some(())
    })
    .await;
    println!("from cancel to the last child gone: {:?}, of which {GRACE} s are grace", began.until(Clock::REAL.now()));
    expect(&run, Cancelled, [("a", Cancelled)]).await;
}

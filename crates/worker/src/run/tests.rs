//! Real shells: what they print, how they end, and that nothing of them is left.

use std::{cell::RefCell, fs};

use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;
use tokio::net::unix::pipe;

use super::*;

const LONG: Duration = Duration::from_mins(5);

/// A place to run commands in, and what came of them.
struct Bench {
    dir: TempDir,
    env: BTreeMap<String, SecretString>,
    deadline: Timestamp,
    grace: Duration,
    stop: watch::Sender<Option<Stop>>,
    /// What commands wrote.
    output: RefCell<Vec<u8>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            env: [("PATH".to_owned(), SecretString::from("/usr/local/bin:/usr/bin:/bin"))].into(),
            deadline: Clock::REAL.now().plus(LONG),
            grace: LONG,
            stop: watch::Sender::new(None),
            output: RefCell::default(),
        }
    }

    /// Runs the commands; once they print `ready`, asks them to stop if that is wanted.
    async fn run_and(&self, stop_when_ready: bool, commands: &[&str]) -> Result<Finished, RunError> {
        let commands: Vec<_> = commands.iter().map(|&command| command.to_owned()).collect();
        let order = Order {
            commands: &commands,
            dir: self.dir.path(),
            env: &self.env,
            deadline: self.deadline,
            deadline_reason: "its time is over",
            stop_grace: self.grace,
            user: None,
            clock: Clock::REAL,
        };
        let output = |chunk: &[u8]| {
            self.output.borrow_mut().extend_from_slice(chunk);
            if stop_when_ready && self.printed().contains("ready") {
                self.stop.send_replace(Some(Stop::Cancelled { reason: "enough".to_owned() }));
            }
        };
        run(&order, output, self.stop.subscribe()).await
    }

    async fn run(&self, commands: &[&str]) -> Finished {
        self.run_and(false, commands).await.unwrap()
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output.borrow()).into_owned()
    }

    /// A pipe named `alive` in the folder: its end comes when nobody who opened it for writing lives any more.
    fn alive(&self) -> pipe::Receiver {
        let path = self.dir.path().join("alive");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        pipe::OpenOptions::new().open_receiver(path).unwrap()
    }
}

/// Returns once all writers are gone; a test that hangs here has found one that lives.
async fn all_dead(mut alive: pipe::Receiver) {
    let mut told = Vec::new();
    alive.read_to_end(&mut told).await.unwrap();
    assert_eq!(told, b"here\n", "the process was there");
}

#[tokio::test]
async fn commands_run_in_order_until_all_succeeded() {
    let bench = Bench::new();
    let finished =
        bench.run(&["echo one; echo two >&2; echo three", "pwd > here; cat here >/dev/null", "cat; echo four"]).await;
    assert_eq!(bench.printed(), "one\ntwo\nthree\nfour\n");
    assert_eq!((finished.status, finished.exit_code, finished.failed_command), (Outcome::Succeeded, Some(0), None));
    assert!(finished.started_at <= finished.finished_at);
    let dir = fs::read_to_string(bench.dir.path().join("here")).unwrap();
    assert_eq!(Path::new(dir.trim()), bench.dir.path().canonicalize().unwrap());
    let nothing = bench.run(&[]).await;
    assert_eq!((nothing.status, nothing.exit_code), (Outcome::Succeeded, None));
}

#[tokio::test]
async fn the_first_failure_ends_the_order() {
    for (command, code) in
        [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("no-such-program", 127), ("if", 2)]
    {
        let bench = Bench::new();
        let finished = bench.run(&["true", command, "echo never"]).await;
        let expected = (Outcome::Failed, Some(code), Some(1));
        assert_eq!((finished.status, finished.exit_code, finished.failed_command), expected, "{command}");
        assert!(!bench.printed().contains("never"));
    }
}

#[tokio::test]
async fn the_environment_is_the_given_one_alone() {
    let mut bench = Bench::new();
    bench.env.insert("GIVEN".to_owned(), SecretString::from("a b\nc"));
    bench.run(&["env | grep -v '^PWD=\\|^_=\\|^SHLVL=' | sort"]).await;
    assert_eq!(bench.printed(), "GIVEN=a b\nPATH=/usr/local/bin:/usr/bin:/bin\nc\n");
}

#[tokio::test]
async fn a_background_process_neither_holds_the_order_nor_survives_it() {
    let bench = Bench::new();
    let alive = bench.alive();
    // The first line of the process comes through the pipe of the order before the shell ends.
    let command =
        "{ echo here; echo held >&2; sleep 1000; } > alive & until [ -e seen ]; do sleep 0.01; done; echo end";
    let seen = bench.dir.path().join("seen");
    let held = async {
        while !bench.printed().contains("held") {
            tokio::task::yield_now().await;
        }
        fs::write(seen, "").unwrap();
    };
    let commands = [command];
    let (finished, ()) = tokio::join!(bench.run(&commands), held);
    assert_eq!((finished.status, bench.printed().as_str()), (Outcome::Succeeded, "held\nend\n"));
    all_dead(alive).await;
}

#[tokio::test]
async fn large_output_streams() {
    let bench = Bench::new();
    bench.run(&["head -c 5000000 /dev/zero; printf end"]).await;
    assert_eq!(bench.output.borrow().len(), 5_000_003);
    assert!(bench.output.borrow().ends_with(b"end"));
}

#[tokio::test]
async fn stopping_begins_kindly() {
    let bench = Bench::new();
    let command = "trap 'echo tidy; exit 3' INT; echo ready; while :; do sleep 0.01; done";
    let finished = bench.run_and(true, &[command, "echo never"]).await.unwrap();
    assert_eq!(bench.printed(), "ready\ntidy\n");
    assert_eq!((finished.status, finished.exit_code, finished.failed_command), (Outcome::Cancelled, Some(3), Some(0)));
    assert_eq!(finished.reason.as_deref(), Some("enough"));
}

#[tokio::test]
async fn the_grace_is_for_what_the_shell_started_too() {
    let bench = Bench::new();
    fs::write(
        bench.dir.path().join("tool"),
        "trap 'sleep 0.2; echo tidy; exit 0' INT; echo ready; while :; do sleep 0.01; done",
    )
    .unwrap();
    let finished = bench.run_and(true, &["sh tool; echo after"]).await.unwrap();
    assert!(bench.printed().contains("tidy"), "{}", bench.printed());
    assert_eq!(finished.status, Outcome::Cancelled);
}

#[tokio::test]
async fn whoever_does_not_listen_is_killed() {
    let mut bench = Bench::new();
    bench.grace = Duration::from_millis(50);
    let alive = bench.alive();
    let command = "trap '' INT; { echo here; sleep 1000; } > alive & sleep 0.1; echo ready; wait; sleep 1000";
    let finished = bench.run_and(true, &[command]).await.unwrap();
    assert_eq!((finished.status, finished.exit_code), (Outcome::Cancelled, Some(137)));
    all_dead(alive).await;
}

#[tokio::test]
async fn one_deadline_is_over_all_commands() {
    let mut bench = Bench::new();
    bench.deadline = Clock::REAL.now().plus(Duration::from_millis(300));
    let finished = bench.run(&["true", "sleep 1000", "echo never"]).await;
    assert_eq!((finished.status, finished.exit_code, finished.failed_command), (Outcome::TimedOut, Some(130), Some(1)));
    assert!(finished.finished_at >= bench.deadline);
    let finished = bench.run(&["echo never"]).await;
    assert_eq!((finished.status, finished.exit_code, finished.failed_command), (Outcome::TimedOut, None, Some(0)));
    assert_eq!(bench.printed(), "");
}

#[tokio::test]
async fn an_order_that_was_stopped_before_starts_nothing() {
    let bench = Bench::new();
    bench.stop.send_replace(Some(Stop::TimedOut { reason: "the invocation is over".to_owned() }));
    let finished = bench.run(&["echo never"]).await;
    assert_eq!((finished.status, bench.printed().as_str()), (Outcome::TimedOut, ""));
    assert_eq!(finished.reason.as_deref(), Some("the invocation is over"));
}

#[tokio::test]
async fn giving_up_kills() {
    let bench = Bench::new();
    let alive = bench.alive();
    let ready = async {
        while !bench.printed().contains("ready") {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = ready => {}
        finished = bench.run(&["exec 3> alive; echo here >&3; echo ready; sleep 1000; true"]) => panic!("{finished:?}"),
    }
    all_dead(alive).await;
}

#[tokio::test]
async fn a_machine_that_fails_says_where() {
    let mut bench = Bench::new();
    let error = bench.run_and(false, &["true", "echo \0"]).await.unwrap_err();
    assert!(error.to_string().starts_with("failed to start command 2: "), "{error}");
    bench.env.insert("BIG".to_owned(), SecretString::from("x".repeat(1 << 20)));
    assert!(matches!(bench.run_and(false, &["true"]).await, Err(RunError::Start { index: 0, .. })));
}

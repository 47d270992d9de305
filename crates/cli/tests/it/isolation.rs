//! One worker process runs one order after another, whoever sent them: what a hostile order leaves must be gone when the
//! next one begins, and that one must run as if it were the first.

use std::{os::unix::process::CommandExt as _, process::Command};

use nix::unistd::{Gid, Uid, chown};
use serde_json::json;

use crate::support::{
    Stack,
    aws_exe::{self, BINARY, call, processes_of},
    expect::expect_success,
    job,
};

/// Shows whatever another order may have left: in the folder that all invocations of a worker have theirs in (on Lambda
/// `/tmp`), in its own folders, in its environment.
const LOOK: [&str; 4] = [
    "mine=$(basename \"$(dirname \"$TMPDIR\")\"); ls -A \"$TMPDIR/../..\" | grep -vx \"$mine\" | sed 's/^/left: /'",
    "find . \"$HOME\" \"$TMPDIR\" -mindepth 1 | sed 's/^/left: /'",
    "env | grep '^LEFT' | sed 's/^/left: /'; true",
    // What a process inherits from the worker, which commands of its user can lower.
    "test \"$(nice) $(ulimit -n) $(ulimit -c) $(nproc)\" = \"$(cat \"$STANDING\")\" || echo left: a lowered worker",
];

/// A name, and the commands of an order that does this. `$ALL` is the folder of all invocations, `$MINE` its own in it.
const HOSTILE: &[(&str, &str)] = &[
    (
        "daemon",
        "setsid sh -c 'trap \"\" INT TERM HUP; while :; do echo x >> $ALL/alive; sleep 0.05; done' > /dev/null 2>&1 &",
    ),
    ("double fork", "( ( setsid sh -c 'while :; do mkdir -p $ALL/again; sleep 0.05; done' > /dev/null 2>&1 & ) & )"),
    ("forks all the while", "setsid sh -c 'while :; do setsid sleep 1000 & sleep 0.01; done' > /dev/null 2>&1 &"),
    ("a file for the next", "echo left > $ALL/left; echo left > $ALL/.hidden; ln $ALL/left $MINE/linked"),
    ("a folder that is locked", "mkdir -p $ALL/a/b/c && touch $ALL/a/b/c/d && chmod 000 $ALL/a/b/c $ALL/a/b $ALL/a"),
    ("its own folder locked", "chmod 000 $TMPDIR $HOME . $MINE"),
    ("the folder of all locked", "chmod 000 $ALL"),
    ("its own folder moved", "mv $MINE $ALL/moved"),
    ("its own folder gone", "rm -rf $MINE"),
    ("a file for its own folder", "rm -rf $MINE && echo left > $MINE"),
    ("a link for its own folder", "mv $MINE $ALL/moved && ln -s $OUTSIDE $MINE"),
    (
        "links",
        "ln -s $OUTSIDE $ALL/folder; ln -s $OUTSIDE $MINE/folder; ln -s /nowhere $ALL/dangling; ln -s $ALL $ALL/loop",
    ),
    ("pipes and sockets", "mkfifo $ALL/pipe $MINE/pipe; chmod 000 $ALL/pipe"),
    (
        "a folder that looks like an order's",
        "mkdir -p $ALL/order-abcdef/code && echo left > $ALL/order-abcdef/code/left",
    ),
    (
        "names that are hard to say",
        "touch \"$ALL/$(printf 'a\\nb')\" \"$ALL/$(printf '\\377')\" \"$ALL/-rf\" \"$ALL/*\"",
    ),
    ("a deep tree", "cd $ALL; for i in $(seq 400); do mkdir 0123456789 && cd -P 0123456789 || break; done"),
    ("a large file", "head -c 100000000 /dev/zero > $ALL/large; head -c 100000000 /dev/zero > $MINE/large"),
    (
        "a process that outlives its worker",
        "setsid env -i sh -c 'cd /; while :; do sleep 0.05; done' $OUTSIDE > /dev/null 2>&1 & sleep 0.2; kill -9 $PPID",
    ),
    ("a worker with fewer files", "prlimit --pid $PPID --nofile=64:64 --core=0:0"),
    (
        "a worker that gives way",
        "renice -n 7 -p $PPID; chrt --batch --pid 0 $PPID; echo 900 > /proc/$PPID/oom_score_adj",
    ),
    ("a worker on one processor", "taskset --pid 1 $PPID"),
    ("a file without a name", "exec 3> $ALL/open; rm $ALL/open; setsid sh -c 'sleep 1000' > /dev/null 2>&1 &"),
];

#[tokio::test]
async fn a_hostile_order_leaves_nothing_to_the_next() {
    let stack = Stack::start().concurrency(1).await;
    let outside = stack.new_folder("outside");
    std::fs::write(outside.join("precious"), "mine").unwrap();
    let standing = stack.path("standing");
    let note = format!("echo \"$(nice) $(ulimit -n) $(ulimit -c) $(nproc)\" > '{}'", standing.display());
    expect_success(&stack.submit(&job().order("first").cmds([note])).await).await;
    for (what, hostile) in HOSTILE {
        let places = format!(
            "export LEFT=over ALL=\"$(cd \"$TMPDIR/../..\" && pwd -P)\" MINE=\"$(cd \"$TMPDIR/..\" && pwd -P)\" OUTSIDE='{}'",
            outside.display()
        );
        // Whether it succeeds is its own affair.
        let run = stack.submit(&job().order("hostile").cmds([format!("{places}; {hostile}")])).await;
        run.done().await;
        let run = stack.submit(&job().order("next").its("env_vars", json!({"STANDING": standing})).cmds(LOOK)).await;
        expect_success(&run).await;
        assert_eq!(run.result_of("next").await["log"], "", "after: {what}");
        assert_eq!(std::fs::read_to_string(outside.join("precious")).unwrap(), "mine", "{what}");
    }
    let commands: Vec<_> = processes_of(stack.marker()).into_iter().filter(|line| !line.contains("aws-exe")).collect();
    assert_eq!(commands, [""; 0]);
}

#[tokio::test]
async fn commands_can_neither_change_the_log_nor_lose_it_with_the_folder_of_events() {
    let stack = Stack::start().await;
    let elsewhere = [
        "find \"$TMPDIR/..\" -name '*.log' | sed 's/^/found: /'",
        "ln -s /etc/passwd \"$TMPDIR/../output.log\"",
        "rm -rf \"$AWS_EXE_SYS_EVENTS_DIR\" && ln -s loop \"$AWS_EXE_SYS_EVENTS_DIR\" && ln -s \"$AWS_EXE_SYS_EVENTS_DIR\" \"$TMPDIR/../loop\"",
        "echo \"$CANARY\" && head -c 400000 /dev/zero | tr '\\0' x && echo \"$CANARY\"",
    ];
    let run = stack.submit(&job().order("a").cmds(elsewhere)).await;
    expect_success(&run).await;
    let log = String::from_utf8(run.log("a").await.unwrap()).unwrap();
    assert_eq!(log, format!("***\n{}***\n", "x".repeat(400_000)));
    let result = run.result_of("a").await;
    assert_eq!(result["events"][0]["event_type"], "malformed_event", "{}", result["events"]);
}

/// A warm worker has one file for the output of all its orders.
#[tokio::test]
async fn the_log_of_an_order_has_nothing_of_the_one_before() {
    let stack = Stack::start().concurrency(1).await;
    let long = |letter: char, bytes: u32| format!("head -c {bytes} /dev/zero | tr '\\0' {letter}");
    let job = job().order("a").cmds([long('a', 400_000)]).order("b").after(["a"]).cmds([long('b', 300_000)]);
    let run = stack.submit(&job).await;
    expect_success(&run).await;
    assert_eq!(run.log("a").await.unwrap(), b"a".repeat(400_000));
    assert_eq!(run.log("b").await.unwrap(), b"b".repeat(300_000));
}

/// Tries to get at the process that started it, as a debugger would and as the kernel shows it to its owner.
const SPY: &str = r#"
for what in environ mem maps auxv io stack; do
    head -c 64 /proc/$PPID/$what > /dev/null 2>&1 && echo "readable: $what"
done
for what in exe cwd root; do
    readlink /proc/$PPID/$what > /dev/null 2>&1 && echo "readable: $what"
done
ls /proc/$PPID/fd > /dev/null 2>&1 && echo "readable: fd"
python3 -c "
import ctypes, os
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(PTRACE_ATTACH, $PPID, None, None) == 0:
    print('traced')
    os.waitpid($PPID, 0x40000000)
    libc.ptrace(PTRACE_DETACH, $PPID, None, None)
"
env | cut -d= -f1 | grep -E 'AWS_(ACCESS|SECRET|SESSION|LAMBDA|CONTAINER)'
echo looked
"#;

/// Root reads everything, so nobody runs this if the tests' user is root.
#[tokio::test]
async fn commands_cannot_read_the_worker_that_runs_them() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("aws-exe");
    std::fs::copy(BINARY, &binary).unwrap();
    let file = folder.path().join("job.json");
    std::fs::write(&file, job().order("spy").cmds([SPY, "exit 1"]).document().to_string()).unwrap();
    let plain = aws_exe::command(folder.path(), &["run", "job.json"]);
    let mut command = Command::new(&binary);
    command.args(plain.get_args()).current_dir(folder.path());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if Uid::effective().is_root() {
        let nobody = 65_534;
        for path in [folder.path(), &file] {
            chown(path, Some(Uid::from_raw(nobody)), Some(Gid::from_raw(nobody))).unwrap();
        }
        command.uid(nobody).gid(nobody);
    }
    let said = call(command).await;
    assert_eq!(said.code, 1, "{}", said.shown());
    // Whatever it could read or trace would stand before.
    assert!(said.stdout.contains(" exited with 1\nlooked\n\n"), "{}", said.shown());
}

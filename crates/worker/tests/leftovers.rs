//! Detached processes, in a test process of their own: everything below it is killed here.

#![cfg(target_os = "linux")]

use std::{process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt, process::Command};
use worker::leftovers::{LeftoversError, adopt_orphans, kill_leftovers};

/// Runs a script to its end while its descendants hold a pipe; then kills them, after which the pipe must end.
async fn killed_after(script: &str) -> Result<usize, LeftoversError> {
    let mut child = Command::new("sh").arg("-c").arg(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    // Told by a descendant that has detached itself.
    assert_eq!(pipe.read_u8().await.unwrap(), b'x', "{script}");
    child.wait().await.unwrap();
    let killed = kill_leftovers().await?;
    let mut rest = Vec::new();
    pipe.read_to_end(&mut rest).await.unwrap();
    Ok(killed)
}

#[tokio::test]
#[expect(clippy::zombie_processes, reason = "leftovers are waited for by what is tested")]
async fn no_way_of_detaching_survives() {
    adopt_orphans().unwrap();
    assert_eq!(kill_leftovers().await.unwrap(), 0);
    for script in [
        "setsid sh -c 'printf x; sleep 1000' &",
        "( ( setsid sh -c 'trap \"\" INT TERM HUP; printf x; sleep 1000' & ) & )",
        "nohup sh -c 'printf x; exec sleep 1000' 2>/dev/null &",
        // One that stops itself does not get away either.
        "setsid sh -c 'printf x; kill -STOP $$; sleep 1000' &",
        // And one that starts others all the while.
        "setsid sh -c 'printf x; while :; do setsid sleep 1000 & sleep 0.001; done' &",
    ] {
        let killed = tokio::time::timeout(Duration::from_mins(1), killed_after(script)).await.expect(script).unwrap();
        assert!(killed > 0, "{script}");
    }
    assert_eq!(kill_leftovers().await.unwrap(), 0);
    // The child of a thread that is gone.
    let started = std::thread::spawn(|| std::process::Command::new("sleep").arg("1000").spawn().unwrap());
    started.join().unwrap();
    assert_eq!(kill_leftovers().await.unwrap(), 1);
    assert_eq!(kill_leftovers().await.unwrap(), 0);
}

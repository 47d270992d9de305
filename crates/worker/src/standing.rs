//! What commands can change of the worker itself, and whether they did.
//!
//! A command of the same user may lower the limits of the process that started it (`prlimit`), its priority (`renice`),
//! the processors that it may use (`taskset`) and its chance to be killed first. Each is inherited by everything that the
//! worker starts later, and what was lowered cannot be raised again without root. So it is only noticed here.

use std::{fs, io};

/// The limits and priorities of a process, as the kernel tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing(Vec<String>);

impl Standing {
    /// Those of this process. Elsewhere than on Linux there is nothing to compare.
    pub(crate) fn of_worker() -> io::Result<Self> {
        if !cfg!(target_os = "linux") {
            return Ok(Self(Vec::new()));
        }
        let stat = fs::read_to_string("/proc/self/stat")?;
        // Behind the name, which stands in brackets: priority and niceness are the 18th and 19th field of the line,
        // real-time priority and policy the 40th and 41st; the first two are in front. See proc_pid_stat(5).
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let scheduling = [18, 19, 40, 41].map(|field| fields.get(field - 3).copied().unwrap_or_default()).join(" ");
        let status = fs::read_to_string("/proc/self/status")?;
        let allowed = |line: &&str| line.starts_with("Cpus_allowed:") || line.starts_with("Mems_allowed:");
        let allowed = status.lines().filter(allowed).collect::<Vec<_>>().join("\n");
        let oom = fs::read_to_string("/proc/self/oom_score_adj")?;
        Ok(Self(vec![fs::read_to_string("/proc/self/limits")?, scheduling, allowed, oom]))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_lowered_limit_is_noticed() {
        let before = Standing::of_worker().unwrap();
        assert_eq!(before, Standing::of_worker().unwrap());
        // Of the bytes that a process may wait for in message queues, which none here does.
        let pid = std::process::id().to_string();
        let lowered = Command::new("prlimit").args(["--pid", &pid, "--msgqueue=4321:"]).status();
        assert!(lowered.unwrap().success());
        assert_ne!(before, Standing::of_worker().unwrap());
    }
}

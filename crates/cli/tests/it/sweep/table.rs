//! The figures of a sweep, one line a reference job.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    time::{Duration, Instant},
};

/// What came of the schedules of one job.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Calls at which faults were planned.
    pub(super) sites: usize,
    /// Runs that were made, and those whose fault met a call.
    pub(super) schedules: usize,
    pub(super) met: usize,
    /// What was found, by schedule.
    pub(super) violations: BTreeMap<String, Vec<String>>,
    pub(super) took: Duration,
}

/// Says something to whoever runs the tests, whether the test passes or not.
pub(super) fn say(text: &str) {
    // Not `eprintln`, which the test harness keeps to itself. Nobody may listen.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Says at once what came out wrong: the table comes late. `scripts/planted` looks for these lines.
pub(super) fn say_violation(job: &str, schedule: &str, found: &[String]) {
    say(&format!("violation: {job}: {schedule}: {}", found.join("; ")));
}

/// Shows all lines, and fails when there was a violation, or when fewer than so many of ten faults met a call.
#[track_caller]
pub(super) fn show(title: &str, lines: &[(&str, Line)], since: Instant, of_ten: usize) {
    let mut text = format!(
        "\n{title}\n{:<14}{:>8}{:>12}{:>8}{:>13}{:>9}\n",
        "", "sites", "schedules", "met", "violations", "seconds"
    );
    let mut total = (0, 0, 0, 0);
    for (name, line) in lines {
        let violations: usize = line.violations.values().map(Vec::len).sum();
        total = (total.0 + line.sites, total.1 + line.schedules, total.2 + line.met, total.3 + violations);
        writeln!(
            text,
            "{name:<14}{:>8}{:>12}{:>8}{violations:>13}{:>9}",
            line.sites,
            line.schedules,
            line.met,
            line.took.as_secs()
        )
        .unwrap();
    }
    let (sites, schedules, met, violations) = total;
    write!(text, "{:<14}{sites:>8}{schedules:>12}{met:>8}{violations:>13}{:>9}", "all", since.elapsed().as_secs())
        .unwrap();
    for (name, line) in lines {
        for (schedule, found) in &line.violations {
            write!(text, "\n{name}: {schedule}").unwrap();
            for one in found {
                write!(text, "\n    {one}").unwrap();
            }
        }
    }
    say(&text);
    assert_eq!(violations, 0, "{text}");
    assert!(schedules > 0, "no run was made");
    assert!(met * 10 >= schedules * of_ten, "only {met} of {schedules} faults met a call");
}

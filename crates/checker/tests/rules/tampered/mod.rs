//! For every rule one thing that was tampered with, and that must be found.

mod fates;
mod stored;
mod told;
mod tools;

use checker::{Evidence, Start, check};
use serde_json::json;

use crate::healthy::{evidence, job};
use fates::{OF_OUTCOMES, OF_SHARES};
use stored::{OF_DONE, OF_ITEM, OF_RESULTS, OF_ROWS};
use told::{OF_EVENTS, OF_STARTS, OF_TIMES};

/// What was done, how, and what must be found: the invariant and words of the sentence.
type Tampering = (&'static str, fn(&mut Evidence), u8, &'static str);

#[test]
fn a_healthy_run_has_no_violation() {
    let found = check(&job(), &evidence());
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn everything_that_is_tampered_with_is_found() {
    let all = [OF_ITEM, OF_ROWS, OF_RESULTS, OF_DONE, OF_SHARES, OF_OUTCOMES, OF_EVENTS, OF_STARTS, OF_TIMES];
    let missed = all.into_iter().flatten().filter_map(|(name, tamper, row, words)| {
        let mut evidence = evidence();
        tamper(&mut evidence);
        let found = check(&job(), &evidence);
        let is_found = found.iter().any(|violation| violation.row == *row && violation.what.contains(words));
        (!is_found).then(|| format!("{name}: nothing of invariant {row} says `{words}`: {found:#?}"))
    });
    let missed: Vec<String> = missed.collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_job_that_could_not_have_been_accepted_is_found() {
    let job = json!({"username": "me", "orders": [{"dependencies": ["nobody"]}]});
    let found = check(&job, &evidence());
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "invariant 16: a job was accepted that is none: `order-0001` waits for `nobody`, which is unknown"
    );
}

/// Whether something is found once this was taken away.
fn is_missed(take: impl FnOnce(&mut Evidence)) -> bool {
    let mut evidence = evidence();
    take(&mut evidence);
    !check(&job(), &evidence).is_empty()
}

#[test]
fn nothing_can_go_missing() {
    let whole = evidence();
    // Nothing tells whether there must be these: wake-ups, and requests that a command or a build ends well without.
    let may_go = |key: &str| ["/0000/", "/_cancel/", ".stop.json"].iter().any(|part| key.contains(part));
    for key in whole.objects.keys().filter(|key| !may_go(key)) {
        assert!(is_missed(|evidence| drop(evidence.objects.remove(key))), "{key}");
    }
    for number in whole.rows.keys() {
        assert!(is_missed(|evidence| drop(evidence.rows.remove(number))), "row {number}");
    }
    for (index, event) in whole.events.iter().enumerate() {
        assert!(is_missed(|evidence| drop(evidence.events.remove(index))), "{event}");
    }
    let of_succeeded = |start: &&Start| ["a", "b", "c"].contains(&start.order.as_str());
    for start in whole.starts.iter().filter(of_succeeded) {
        assert!(is_missed(|evidence| evidence.starts.retain(|other| other != start)), "{start:?}");
    }
}

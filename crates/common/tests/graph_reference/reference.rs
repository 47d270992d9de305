//! What the documents say about a job's graph, written down once more in the plainest way there is: letters, lists, and
//! going over everything again until nothing changes. It was written from the contract (§1 and §3) and from the section
//! *Evaluation* of the architecture, not from the code, and uses none of the engine's types. It may be slow.

/// An order, as far as these documents speak of it here.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The orders it waits for, by their place in the job.
    pub(crate) waits_for: Vec<usize>,
    /// "Its failure fails the job, and it does not run when a dependency failed."
    pub(crate) must_succeed: bool,
    /// Which of the targets it runs on.
    pub(crate) target: usize,
}

/// "Most orders running at once": of the job, and on each target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) of_job: Option<usize>,
    pub(crate) on_target: [usize; 3],
}

/// What is to come of a ledger.
#[derive(Debug, PartialEq)]
pub(crate) struct Expected {
    /// Orders that end without running, with their letters.
    pub(crate) cascaded: Vec<(usize, char)>,
    /// Orders that start.
    pub(crate) ready: Vec<usize>,
    /// Orders that nothing but the limits keeps from starting.
    pub(crate) held_back: usize,
}

fn has_ended(letter: char) -> bool {
    matches!(letter, 's' | 'f' | 't' | 'c')
}

fn all_it_waits_for_ended(order: &Order, letters: &[char]) -> bool {
    order.waits_for.iter().all(|other| has_ended(letters[*other]))
}

/// "What becomes of an order is decided once all its dependencies have ended": cancelled if any was cancelled; else, if
/// it must succeed and any did not succeed, failed; else it runs, which is `None`.
fn ends_without_running(order: &Order, letters: &[char]) -> Option<char> {
    let ended_as = |letter| order.waits_for.iter().any(|other| letters[*other] == letter);
    if !all_it_waits_for_ended(order, letters) {
        None
    } else if ended_as('c') {
        Some('c')
    } else if order.must_succeed && (ended_as('f') || ended_as('t')) {
        Some('f')
    } else {
        None
    }
}

pub(crate) fn expected(orders: &[Order], ledger: &[char], most: &Most) -> Expected {
    let mut letters = ledger.to_vec();
    loop {
        let before = letters.clone();
        for (place, order) in orders.iter().enumerate() {
            if letters[place] == 'q'
                && let Some(end) = ends_without_running(order, &letters)
            {
                letters[place] = end;
            }
        }
        if letters == before {
            break;
        }
    }
    let changed = |place: &usize| letters[*place] != ledger[*place];
    let cascaded = (0..orders.len()).filter(changed).map(|place| (place, letters[place])).collect();

    let mut ready = Vec::new();
    let mut held_back = 0;
    for (place, order) in orders.iter().enumerate() {
        if letters[place] != 'q' || !all_it_waits_for_ended(order, &letters) {
            continue;
        }
        let running = || orders.iter().zip(&letters).filter(|(_, letter)| **letter == 'r');
        let on_its_target = running().filter(|(other, _)| other.target == order.target).count();
        let job_is_full = most.of_job.is_some_and(|most| running().count() >= most);
        if job_is_full || on_its_target >= most.on_target[order.target] {
            held_back += 1;
        } else {
            letters[place] = 'r';
            ready.push(place);
        }
    }
    Expected { cascaded, ready, held_back }
}

/// "Job status: `cancelled` if it was cancelled; `timed_out` if `job_timeout` passed or an order that must succeed timed
/// out; `failed` if an order that must succeed failed or was cancelled by itself; else `succeeded`." At the job's
/// deadline every order that has not ended is timed out: where none is, all had ended in time.
pub(crate) fn job_status(orders: &[Order], letters: &[char], was_cancelled: bool, deadline_passed: bool) -> char {
    let needed_one_is = |letter| (0..orders.len()).any(|place| orders[place].must_succeed && letters[place] == letter);
    if was_cancelled {
        return 'c';
    }
    if (deadline_passed && letters.contains(&'t')) || needed_one_is('t') {
        return 't';
    }
    if needed_one_is('f') || needed_one_is('c') { 'f' } else { 's' }
}

/// Whether somebody waits, over however many others, for itself: orders that wait for nobody left are taken away until
/// there is none of them; who is left then waits in a circle or for one.
pub(crate) fn goes_round(waits_for: &[Vec<usize>]) -> bool {
    let mut left: Vec<usize> = (0..waits_for.len()).collect();
    loop {
        let stays = |place: &usize| waits_for[*place].iter().any(|other| left.contains(other));
        let still_left: Vec<usize> = left.iter().copied().filter(stays).collect();
        if still_left.len() == left.len() {
            return !left.is_empty();
        }
        left = still_left;
    }
}

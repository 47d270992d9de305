//! Taking the lease of a run, or leaving the wake-up with whoever holds it.

use common::{
    aws::AwsError,
    clock::Clock,
    ids::RunId,
    run_item::{RunItem, RunItems, RunStatus, Written},
};

/// How often acquire and deposit may take turns. Each turn means that a holder came or went in between; a run with so
/// many has others to look after it.
const TURNS: usize = 10;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Lease {
    /// It is mine; the item with my wake-up counted.
    Mine(Box<RunItem>),
    /// The holder will see that there is news.
    Deposited,
    /// There is nothing to do: no such run, not submitted yet, or completed.
    NotNeeded,
}

/// Takes the lease for `me`, or deposits.
pub(crate) async fn take(items: RunItems<'_>, run: &RunId, me: &str, clock: Clock) -> Result<Lease, AwsError> {
    for _ in 0..TURNS {
        let stands = match items.acquire(run, me, clock.now()).await? {
            Written::Yes(Some(item)) => return Ok(Lease::Mine(item)),
            Written::Yes(None) | Written::No(None) => return Ok(Lease::NotNeeded),
            Written::No(Some(stands)) => stands,
        };
        if matches!(stands.status, RunStatus::Submitting | RunStatus::Completed) {
            return Ok(Lease::NotNeeded);
        }
        // A deposit into a lease that ended in the meantime would be lost: then the next turn acquires.
        if let Written::Yes(_) = items.deposit(run, clock.now()).await? {
            return Ok(Lease::Deposited);
        }
    }
    tracing::warn!(run_id = %run, "the lease changed hands too often; the tick will look again");
    Ok(Lease::NotNeeded)
}

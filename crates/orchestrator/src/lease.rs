//! Taking the lease of a run, or leaving the wake-up with whoever holds it.

use common::{
    aws::AwsError,
    clock::Clock,
    ids::RunId,
    run_item::{RunItem, RunItems, Written},
};

/// How often a lease that ran out may be found, and be somebody else's at the next moment. A run with so many has others to
/// look after it.
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
        let now = clock.now();
        let Written::Yes(Some(item)) = items.wake(run, me, now).await? else { return Ok(Lease::NotNeeded) };
        if item.orchestrator_id.as_deref() == Some(me) {
            return Ok(Lease::Mine(item));
        }
        if item.is_leased(now) {
            return Ok(Lease::Deposited);
        }
        // Its owner is gone, and nobody would look at what is left with it.
        if let Written::Yes(Some(item)) = items.take_over(run, me, clock.now()).await? {
            return Ok(Lease::Mine(item));
        }
    }
    tracing::warn!(run_id = %run, "the lease changed hands too often; the tick will look again");
    Ok(Lease::NotNeeded)
}

//! Waiting for conditions, with one generous limit after which a test ends and says what it was waiting for.

use std::time::Duration;

/// Far longer than anything here takes on a loaded machine, and shorter than anyone's patience with a hung suite.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks: at first short, as most things are there at once, then longer, to leave the machine to the engine.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

/// Asks until there is an answer; `None` after [`LIMIT`].
pub(crate) async fn within_limit<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asked = async {
        let (mut pause, longest) = PAUSES;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(pause).await;
            pause = longest.min(pause * 5 / 4);
        }
    };
    tokio::time::timeout(LIMIT, asked).await.ok()
}

/// Asks until there is an answer; the test fails with `what` after [`LIMIT`].
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    match within_limit(ask).await {
        Some(answer) => answer,
        None => panic!("waited {} s in vain: {what}", LIMIT.as_secs()),
    }
}

//! What may go wrong, and what may happen at any moment: how often each does in one exploration.

/// How often each fault, and each event from outside, may still happen.
///
/// Late delivery has no budget: whatever is on its way arrives at any time, or after everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// A pass, a submission or the function that ends orders is killed between two calls.
    pub crashes: u8,
    /// A worker is killed.
    pub worker_crashes: u8,
    /// A notification, an invoke, or the news of a lost worker is delivered twice.
    pub duplicates: u8,
    /// A notification or the news of a lost worker is never delivered.
    pub drops: u8,
    /// A lease runs out although its holder is at work.
    pub zombies: u8,
    /// A call is applied and its answer is lost; the caller makes it again.
    pub lost_replies: u8,
    /// A call of a pass fails for good; the pass gives up its lease and ends with an error.
    pub errors: u8,
    /// The start of a target is throttled; the pass leaves the order for later.
    pub throttles: u8,
    /// An order's watchdog finds it late while its worker, or its invoke, is still there.
    pub timeouts: u8,
    /// A pass comes to the end of its time and hands over.
    pub hand_overs: u8,
    /// The tick wakes the run although something else can still happen.
    pub early_ticks: u8,
    /// The job's deadline passes.
    pub deadlines: u8,
    /// The run is cancelled.
    pub cancels: u8,
    /// The client submits the same job again.
    pub resubmissions: u8,
}

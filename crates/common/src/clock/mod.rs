//! Time as the engine sees it: the one place that asks the machine for it.
//!
//! Every process of a run on one machine can be given the same *sped-up* time, so that a test in which a minute's
//! tick matters takes a second. The variable [`crate::env::CLOCK`] carries `<origin>@<factor>`: the instant, in epoch
//! milliseconds, at which engine time and machine time were equal, and how many engine seconds pass in one machine
//! second. Without it both are the same. Signing and presigning stay on machine time: AWS checks those.
//!
//! With `<origin>@<factor>+<file>` stretches of time are also *skipped* while nobody has anything to do. What was
//! skipped so far is the length of the file, in milliseconds for bytes: a length only grows and is read in one piece, so
//! all processes agree. The embedded AWS alone knows when nobody is at work, and alone makes it longer.

mod skips;
mod timestamp;

use std::{
    fmt, io,
    path::Path,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use skips::Skips;
pub use timestamp::{NotATimestamp, Timestamp};

/// Where time comes from. Cheap to copy; all processes of one embedded AWS share one setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    origin_micros: u64,
    factor: u32,
    skips: Option<&'static Skips>,
}

/// A text that is no [`Clock`] setting.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a clock setting of the form `<epoch milliseconds>@<factor from 1 to 10000>[+<file>]`")]
pub struct NotAClock(String);

/// How often a sleeper looks whether time was skipped, in machine time: short beside what a process needs to start, and
/// long beside what a look costs.
const LOOK: Duration = Duration::from_millis(10);

impl Clock {
    /// The machine's own time.
    pub const REAL: Self = Self { origin_micros: 0, factor: 1, skips: None };

    /// Engine time that passes `factor` times as fast as the machine's, from now on.
    pub fn sped_up(factor: u32) -> Self {
        Self { origin_micros: machine_micros() / 1_000 * 1_000, factor: factor.max(1), skips: None }
    }

    /// The same, of which stretches can be skipped; `file` says how much, and is made when it is not there.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub fn with_skips(self, file: &Path) -> io::Result<Self> {
        Ok(Self { skips: Some(Skips::create(file)?), ..self })
    }

    /// Whether stretches of time can be skipped.
    pub fn can_skip(self) -> bool {
        self.skips.is_some()
    }

    /// Lets at least this much engine time pass at once, for all processes. Nothing happens where time cannot be skipped.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn skip(self, duration: Duration) -> io::Result<()> {
        self.skips.map_or(Ok(()), |skips| skips.add(duration))
    }

    /// How many engine seconds pass in a machine second.
    pub fn factor(self) -> u32 {
        self.factor
    }

    /// The present instant.
    pub fn now(self) -> Timestamp {
        let machine = machine_micros();
        let elapsed = machine.saturating_sub(self.origin_micros);
        let passed = if elapsed == 0 { machine } else { self.origin_micros + elapsed * u64::from(self.factor) };
        Timestamp::from_micros(passed).plus(self.skips.map(Skips::total).unwrap_or_default())
    }

    /// The machine's own duration for one of engine time, of which nothing is skipped.
    pub fn machine(self, duration: Duration) -> Duration {
        duration / self.factor
    }

    /// Waits for a duration of engine time.
    pub async fn sleep(self, duration: Duration) {
        if self.skips.is_none() {
            return tokio::time::sleep(self.machine(duration)).await;
        }
        let until = self.now().plus(duration);
        loop {
            let left = self.now().until(until);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(self.machine(left).min(LOOK)).await;
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.origin_micros / 1_000, self.factor)?;
        self.skips.map_or(Ok(()), |skips| write!(f, "+{}", skips.path().display()))
    }
}

impl FromStr for Clock {
    type Err = NotAClock;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (setting, file) = text.split_once('+').map_or((text, None), |(setting, file)| (setting, Some(file)));
            let (origin, factor) = setting.split_once('@')?;
            let origin_micros = origin.parse::<u64>().ok()?.checked_mul(1_000)?;
            let factor = factor.parse().ok().filter(|f| (1..=10_000).contains(f))?;
            let skips = file.map(|file| Skips::open(Path::new(file))).transpose().ok()?;
            Some(Self { origin_micros, factor, skips })
        };
        parse().ok_or_else(|| NotAClock(text.to_owned()))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that reads the machine's clock")]
fn machine_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_setting_survives_the_environment() {
        let clock = Clock::sped_up(60);
        assert_eq!(clock.to_string().parse::<Clock>().unwrap(), clock);
        assert_eq!(clock.machine(Duration::from_secs(60)), Duration::from_secs(1));
        assert!("1@0".parse::<Clock>().is_err());
    }

    #[tokio::test]
    async fn what_one_process_skips_has_passed_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::REAL.with_skips(&folder.path().join("skips")).unwrap();
        let other: Clock = clock.to_string().parse().unwrap();
        assert_eq!(other, clock);
        let before = other.now();
        let skip = async {
            clock.skip(Duration::from_secs(1_800)).unwrap();
            clock.skip(Duration::from_secs(1_800)).unwrap();
        };
        tokio::join!(other.sleep(Duration::from_secs(3_600)), skip);
        assert!(before.until(other.now()) >= Duration::from_secs(3_600));
        assert!("1@1+/no/such/file".parse::<Clock>().is_err());
    }
}

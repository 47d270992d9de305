//! Time as the engine sees it: the one place that asks the machine for it.
//!
//! Every process of a run on one machine can be given the same *sped-up* time, so that a test in which a minute's
//! tick matters takes a second. The variable [`crate::env::CLOCK`] carries `<origin>@<factor>`: the instant, in epoch
//! milliseconds, at which engine time and machine time were equal, and how many engine seconds pass in one machine
//! second. Without it both are the same. Signing and presigning stay on machine time: AWS checks those.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An instant in microseconds since the Unix epoch, written as seconds with six decimals (`1732156800.123456`).
///
/// Until the year 2286 the text has a fixed width, so it sorts as text in a DynamoDB sort key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds since the epoch, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This instant and `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long from `self` until `later`; zero when `later` is not later.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(later.0.saturating_sub(self.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A text that is no [`Timestamp`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time in epoch seconds such as `1732156800.123456`")]
pub struct NotATimestamp(String);

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotATimestamp(text.chars().take(40).collect());
        let (secs, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if secs.is_empty() || !digits(secs) || !digits(fraction) || fraction.len() > 9 {
            return Err(wrong());
        }
        let secs: u64 = secs.parse().map_err(|_| wrong())?;
        let micros: u64 = format!("{fraction:0<6}")[..6].parse().map_err(|_| wrong())?;
        secs.checked_mul(1_000_000).and_then(|s| s.checked_add(micros)).map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Takes the text form and, from foreign writers, a plain number of seconds.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse().map_err(D::Error::custom),
            Form::Number(number) => number.to_string().parse().map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]+\\.[0-9]{6}$"})
    }
}

/// Where time comes from. Cheap to copy; all processes of one embedded AWS share one setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    origin_micros: u64,
    factor: u32,
}

/// A text that is no [`Clock`] setting.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a clock setting of the form `<epoch milliseconds>@<factor from 1 to 10000>`")]
pub struct NotAClock(String);

impl Clock {
    /// The machine's own time.
    pub const REAL: Self = Self { origin_micros: 0, factor: 1 };

    /// Engine time that passes `factor` times as fast as the machine's, from now on.
    pub fn sped_up(factor: u32) -> Self {
        Self { origin_micros: machine_micros() / 1_000 * 1_000, factor: factor.max(1) }
    }

    /// How many engine seconds pass in a machine second.
    pub fn factor(self) -> u32 {
        self.factor
    }

    /// The present instant.
    pub fn now(self) -> Timestamp {
        self.of_machine(Timestamp(machine_micros()))
    }

    /// The engine's instant for one that a machine stamped, such as S3 on an object.
    pub fn of_machine(self, at: Timestamp) -> Timestamp {
        let elapsed = at.0.saturating_sub(self.origin_micros);
        if elapsed == 0 { at } else { Timestamp(self.origin_micros + elapsed * u64::from(self.factor)) }
    }

    /// The machine's own duration for one of engine time.
    pub fn machine(self, duration: Duration) -> Duration {
        duration / self.factor
    }

    /// Waits for a duration of engine time.
    pub async fn sleep(self, duration: Duration) {
        tokio::time::sleep(self.machine(duration)).await;
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.origin_micros / 1_000, self.factor)
    }
}

impl FromStr for Clock {
    type Err = NotAClock;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (origin, factor) = text.split_once('@')?;
            let origin_micros = origin.parse::<u64>().ok()?.checked_mul(1_000)?;
            let factor = factor.parse().ok().filter(|f| (1..=10_000).contains(f))?;
            Some(Self { origin_micros, factor })
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_timestamp_is_read_as_it_was_written(micros in 0..9_999_999_999_999_999_u64) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        }

        #[test]
        fn timestamps_of_our_time_sort_as_text(a in 1_000_000_000_000_000..9_999_999_999_999_999_u64, b in 1_000_000_000_000_000..9_999_999_999_999_999_u64) {
            let (x, y) = (Timestamp::from_micros(a), Timestamp::from_micros(b));
            prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        }
    }

    #[test]
    fn foreign_writers_may_give_numbers() {
        let at: Timestamp = serde_json::from_str("1732156800.5").unwrap();
        assert_eq!(at.to_string(), "1732156800.500000");
        assert!(serde_json::from_str::<Timestamp>("-1").is_err());
        assert!(serde_json::from_str::<Timestamp>("\"soon\"").is_err());
    }

    #[test]
    fn a_clock_setting_survives_the_environment() {
        let clock = Clock::sped_up(60);
        assert_eq!(clock.to_string().parse::<Clock>().unwrap(), clock);
        assert_eq!(clock.machine(Duration::from_secs(60)), Duration::from_secs(1));
        assert!("1@0".parse::<Clock>().is_err());
    }
}

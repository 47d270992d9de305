//! Instants, as the engine stores and compares them. Where they come from is [`super::Clock`].

use std::{fmt, str::FromStr, time::Duration};

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
}

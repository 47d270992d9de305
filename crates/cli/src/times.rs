//! Times as people read them.

use common::clock::Timestamp;
use time::{OffsetDateTime, macros::format_description};

/// A point in time: `2026-01-31 12:34:56Z`.
pub(crate) fn utc(at: Timestamp) -> String {
    let seconds = i64::try_from(at.secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z")).ok())
        .unwrap_or_else(|| at.to_string())
}

/// A point in time of a day that is known: `12:34:56`.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    utc(at).split([' ', 'Z']).nth(1).unwrap_or_default().to_owned()
}

/// A time that passes: `12 s`, `5m 12s`, `1h 05m`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1m 00s"), (3_599, "59m 59s"), (3_900, "1h 05m")] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(utc(Timestamp::from_millis(1_700_000_000_999)), "2023-11-14 22:13:20Z");
        assert_eq!(time_of_day(Timestamp::from_millis(1_700_000_000_999)), "22:13:20");
    }
}

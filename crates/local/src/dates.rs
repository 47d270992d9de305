//! Dates as AWS writes and reads them, from and to the engine's [`Timestamp`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::clock::{Clock, Timestamp};
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// `2026-11-21T02:28:21.123Z`.
pub(crate) fn iso8601(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let at = OffsetDateTime::from(system_time(at));
    // Only a year outside 0 to 9999 cannot be written, and microseconds in a u64 end before that in practice.
    at.format(format).unwrap_or_default()
}

/// `Nov 21, 2026 2:28:21 AM`, as `CodeBuild` writes dates into its events.
pub(crate) fn spelled(at: Timestamp) -> String {
    let format = format_description!(
        "[month repr:short] [day padding:none], [year] [hour repr:12 padding:none]:[minute]:[second] [period]"
    );
    OffsetDateTime::from(system_time(at)).format(format).unwrap_or_default()
}

/// An instant written as ISO 8601 with an offset; `None` for anything else.
pub(crate) fn parse_iso8601(text: &str) -> Option<Timestamp> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    u64::try_from(nanos / 1_000).ok().map(Timestamp::from_micros)
}

/// The date of a signature, `20261121T022821Z`.
pub(crate) fn parse_signature_date(text: &str) -> Option<Timestamp> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let at = PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
    u64::try_from(at.unix_timestamp()).ok().map(Timestamp::from_secs)
}

/// Seconds since the epoch with a fraction, which the JSON protocols use for dates.
pub(crate) fn epoch_seconds(at: Timestamp) -> f64 {
    Duration::from_micros(at.micros()).as_secs_f64()
}

/// The machine's type for an instant.
pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(at.micros())
}

/// The instant on the machine's own clock, which signatures and process deadlines are compared with.
pub(crate) fn machine_now() -> Timestamp {
    Clock::REAL.now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_were_written() {
        let at = Timestamp::from_millis(1_795_228_101_123);
        assert_eq!(iso8601(at), "2026-11-21T02:28:21.123Z");
        assert_eq!(parse_iso8601(&iso8601(at)), Some(at));
        assert_eq!(parse_signature_date("20261121T022821Z"), Some(Timestamp::from_secs(1_795_228_101)));
        assert_eq!(parse_iso8601("soon"), None);
        assert_eq!(spelled(at), "Nov 21, 2026 2:28:21 AM");
    }
}

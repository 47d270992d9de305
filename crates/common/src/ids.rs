//! Identifiers, parsed once at the edge; what has one of these types needs no further check.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use uuid::Uuid;

/// Most orders that a job may have: `order_num` has four digits and `0000` is the run.
pub const MAX_ORDERS: usize = 9_999;

/// What is wrong with an identifier: a fragment that completes "`x` …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

/// Whether `text` has 1 to `max` characters of `A-Z a-z 0-9 . _ -`.
pub fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

text_id! {
    /// One run of a job: 1 to 64 of `A-Z a-z 0-9 . _ -`, the first an alphanumeric.
    RunId
}

impl FromStr for RunId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if is_name(text, 64) && text.as_bytes()[0].is_ascii_alphanumeric() {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId("must have 1 to 64 characters of `A-Z a-z 0-9 . _ -`, the first a letter or digit"))
        }
    }
}

text_id! {
    /// Joins the events of one run, 8 lower-case hex digits.
    TraceId
}

impl FromStr for TraceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId("must be 8 hex digits in lower case"))
        }
    }
}

impl TraceId {
    /// A random one.
    pub fn fresh() -> Self {
        Self(fresh_nonce()[..8].to_owned())
    }

    /// A leg of the way: the trace and the second in which the leg began.
    pub fn leg(&self, at: crate::clock::Timestamp) -> String {
        format!("{}:{}", self.0, at.secs())
    }
}

text_id! {
    /// An order's name, unique in its job: 1 to 128 of `A-Z a-z 0-9 . _ -` and not `_job`, which is the job's own.
    OrderName
}

impl OrderName {
    /// The name under which the job's own events stand.
    pub const JOB: &str = "_job";
}

impl FromStr for OrderName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == Self::JOB {
            Err(InvalidId("is reserved for the job's own events"))
        } else if is_name(text, 128) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId("must have 1 to 128 characters of `A-Z a-z 0-9 . _ -`"))
        }
    }
}

text_id! {
    /// A managed instance: `i-` (EC2) or `mi-` (hybrid) and up to 40 letters, digits and hyphens. AWS's own have 8 or 17
    /// hex digits; the embedded AWS also takes names such as `i-local`.
    InstanceId
}

impl FromStr for InstanceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let rest = text.strip_prefix("i-").or_else(|| text.strip_prefix("mi-")).unwrap_or_default();
        if (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId("must be an instance id such as `i-0123456789abcdef0` or `mi-0123456789abcdef0`"))
        }
    }
}

/// Position of an order in its job from 1; 0 is the run itself. Written with four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderNum(u16);

impl OrderNum {
    /// The run itself, `0000`.
    pub const RUN: Self = Self(0);

    /// The number of the order at `index` (from 0) of the job's list.
    ///
    /// # Panics
    /// When a job has more than [`MAX_ORDERS`] orders, which validation refuses.
    pub fn of_index(index: usize) -> Self {
        assert!(index < MAX_ORDERS, "a job has at most {MAX_ORDERS} orders");
        Self(u16::try_from(index + 1).unwrap_or(u16::MAX))
    }

    /// The index (from 0) in the job's list; nothing for the run itself.
    pub fn index(self) -> Option<usize> {
        usize::from(self.0).checked_sub(1)
    }
}

impl fmt::Display for OrderNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl FromStr for OrderNum {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().map(Self).map_err(|_| InvalidId("must be four digits"))
        } else {
            Err(InvalidId("must be four digits"))
        }
    }
}

impl Serialize for OrderNum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OrderNum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A text that nobody else draws. Owners, claims and submissions are told apart by it, never by a request id: all
/// deliveries of one asynchronous event share that.
#[expect(clippy::disallowed_methods, reason = "this is the module that draws random ids")]
pub fn fresh_nonce() -> String {
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_follow_the_contract() {
        for good in ["a", "0", "run-1.2_3", &"x".repeat(64)] {
            assert!(good.parse::<RunId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", "a/b", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_jobs_own_name_is_reserved() {
        assert!("_job".parse::<OrderName>().is_err());
        assert!("_jobs".parse::<OrderName>().is_ok());
    }

    #[test]
    fn order_numbers_have_four_digits() {
        assert_eq!(OrderNum::of_index(0).to_string(), "0001");
        assert_eq!("9999".parse::<OrderNum>().unwrap().index(), Some(9_998));
        assert_eq!(OrderNum::RUN.index(), None);
        for bad in ["1", "00001", "+001", "", "abcd"] {
            assert!(bad.parse::<OrderNum>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fresh_trace_id_is_a_trace_id() {
        let id = TraceId::fresh();
        assert_eq!(id.as_str().parse::<TraceId>().unwrap(), id);
    }
}

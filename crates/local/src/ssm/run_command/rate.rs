//! `MaxConcurrency` and `MaxErrors`: a number of instances, or a share of them.

use serde::{Deserialize, Serialize};

/// A number, or a percentage of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Rate(String);

impl Rate {
    /// Reads one as AWS takes it: digits without leading zeros, or 0% to 100%; `least` is the smallest number.
    pub(crate) fn parse(text: &str, least: usize) -> Option<Self> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        let number: usize = digits.parse().ok()?;
        let fits = number >= least && (digits.len() == text.len() || number <= 100);
        // Seven characters are the longest that AWS takes.
        (plain && fits && text.len() <= 7).then(|| Self(text.to_owned()))
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// How many of `all` that is; shares are rounded down.
    pub(crate) fn of(&self, all: usize) -> usize {
        match self.0.strip_suffix('%') {
            Some(share) => all * share.parse::<usize>().unwrap_or_default() / 100,
            None => self.0.parse().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_or_shares() {
        for (text, of_60) in [("1", 1), ("50", 50), ("10%", 6), ("1%", 0), ("100%", 60), ("1000000", 1_000_000)] {
            assert_eq!(Rate::parse(text, 1).map(|rate| rate.of(60)), Some(of_60), "{text}");
        }
        for bad in ["0", "0%", "", "%", "-1", "+1", "1.5", "101%", "05", "a", "10000000", "1 %"] {
            assert_eq!(Rate::parse(bad, 1), None, "{bad}");
        }
        assert_eq!(Rate::parse("0", 0).map(|rate| rate.of(60)), Some(0));
    }
}

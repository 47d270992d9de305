//! The ledger's letters, `12s3r85q`, as words: one an order, in order of number.

/// The status that each letter stands for.
const WORDS: [(char, &str); 6] =
    [('q', "queued"), ('r', "running"), ('s', "succeeded"), ('f', "failed"), ('t', "timed_out"), ('c', "cancelled")];

/// Reads the letters; refuses what is written in another way than the shortest.
pub(crate) fn read(text: &str) -> Result<Vec<&'static str>, String> {
    let mut statuses: Vec<&'static str> = Vec::new();
    let mut digits = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let Some((_, word)) = WORDS.iter().find(|(known, _)| *known == letter) else {
            return Err(format!("`{letter}` stands for no status"));
        };
        let count = match digits.as_str() {
            "" => 1,
            "0" | "1" => return Err(format!("a count of {digits} is never written")),
            many if many.starts_with('0') || many.len() > 4 => return Err(format!("`{many}` is no count")),
            many => many.parse::<usize>().map_err(|error| error.to_string())?,
        };
        if statuses.last() == Some(word) {
            return Err(format!("two groups of `{letter}` stand side by side"));
        }
        statuses.extend(std::iter::repeat_n(*word, count));
        digits.clear();
    }
    if digits.is_empty() { Ok(statuses) } else { Err("it ends in a count".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_before_their_letter() {
        assert_eq!(read("2sf3q").unwrap(), ["succeeded", "succeeded", "failed", "queued", "queued", "queued"]);
        assert_eq!(read("srtc").unwrap(), ["succeeded", "running", "timed_out", "cancelled"]);
        assert_eq!(read("9999s").unwrap().len(), 9_999);
        for bad in ["2", "1s", "0s", "ss", "2s3s", "x", "02s", "99999s"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

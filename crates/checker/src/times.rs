//! Times as the contract writes them: epoch seconds with six decimals, of fixed width.

use serde_json::Value;

/// Microseconds since the epoch of a time of the engine's own, which is a text of fixed width.
pub(crate) fn micros(time: &Value) -> Option<u64> {
    let text = time.as_str()?;
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |part: &str, many: usize| part.len() == many && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds, 10) || !digits(fraction, 6) {
        return None;
    }
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + fraction.parse::<u64>().ok()?)
}

/// The field as a time.
pub(crate) fn field(object: &Value, name: &str) -> Option<u64> {
    micros(object.get(name)?)
}

/// Seconds as microseconds.
pub(crate) fn seconds(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_fixed_width_is_a_time() {
        assert_eq!(micros(&json!("1732156800.000001")), Some(1_732_156_800_000_001));
        for bad in
            [json!(1_732_156_800), json!("1732156800"), json!("1732156800.5"), json!("732156800.000001"), json!(null)]
        {
            assert_eq!(micros(&bad), None, "{bad}");
        }
    }
}

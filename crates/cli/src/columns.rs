//! How many columns of a terminal a text takes, and cutting it to fewer.

use unicode_width::UnicodeWidthChar as _;

/// Columns that a terminal needs at most. Characters that join others into one need fewer together than alone; only
/// variation selectors make what they follow wider (<https://www.unicode.org/reports/tr51/#Emoji_Variation_Sequences>).
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(char: char) -> usize {
    if matches!(char, '\u{fe00}'..='\u{fe0f}') { 1 } else { char.width().unwrap_or(0) }
}

/// A text that is no wider, cut at its end if need be.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match most.checked_sub(1) {
        _ if width(text) <= most => text.to_owned(),
        Some(rest) => format!("{}…", prefix(text, rest)),
        None => String::new(),
    }
}

/// A text with spaces behind it, so that it is at least so wide.
pub(crate) fn pad(text: &str, least: usize) -> String {
    format!("{text}{}", " ".repeat(least.saturating_sub(width(text))))
}

/// The longest beginning that is no wider.
pub(crate) fn prefix(text: &str, most: usize) -> &str {
    let mut left = most;
    let end = text.char_indices().find(|(_, char)| match left.checked_sub(columns(*char)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    &text[..end.map_or(text.len(), |(index, _)| index)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn a_text_is_cut_where_it_becomes_too_wide() {
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("grüne", 4), "grü…");
        assert_eq!(cut("表示幅", 6), "表示幅");
        assert_eq!(cut("表示幅", 5), "表示…");
        assert_eq!(cut("表示幅", 4), "表…");
        assert_eq!(cut("a", 0), "");
    }

    proptest! {
        #[test]
        fn what_is_cut_is_no_wider(
            text in "[a-z表é\u{301}\u{200d}👩🚀\u{fe0f}\u{fe0e}1#\u{20e3}🏽🇩🇪]{0,40}",
            most in 0_usize..60,
        ) {
            prop_assert!(text.width() <= width(&text));
            let cut = cut(&text, most);
            prop_assert!(cut.width() <= most, "{cut}");
            prop_assert!(cut == text || text.starts_with(cut.trim_end_matches('…')));
        }
    }
}

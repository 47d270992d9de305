//! Texts of users: how messages show them, and which characters deceive whoever reads them.

/// A text of the user's as a message shows it: short and without control characters.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether it is not seen itself but changes how what is around it is seen, or what a terminal does: control characters,
/// line and paragraph separators, and characters of Unicode's category Cf, such as those that turn the direction of text.
pub fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text of others that stands for a sentence of ours: hidden characters escaped, and cut at so many characters. What came
/// out once comes out the same again.
pub fn sentence(text: &str, most: usize) -> String {
    let mut sentence = String::new();
    let mut length = 0;
    for char in text.chars() {
        let shown = if is_hidden(char) { char.escape_default().collect() } else { char.to_string() };
        for char in shown.chars() {
            if length == most {
                sentence.pop();
                sentence.push('…');
                return sentence;
            }
            sentence.push(char);
            length += 1;
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sentence_is_cut_and_escaped() {
        assert_eq!(sentence("grün", 4), "grün");
        assert_eq!(sentence("grüne", 4), "grü…");
        assert_eq!(sentence("a\u{1b}b", 20), "a\\u{1b}b");
        assert_eq!(sentence("a\u{1b}b", 4), "a\\u…");
    }

    proptest! {
        #[test]
        fn a_sentence_stays_what_it_is(text in "[a-ü\u{0}-\u{1f}\u{200b}…]{0,40}", most in 1_usize..30) {
            let once = sentence(&text, most);
            prop_assert!(once.chars().count() <= most && !once.contains(is_hidden));
            prop_assert_eq!(sentence(&once, most), once);
        }
    }
}

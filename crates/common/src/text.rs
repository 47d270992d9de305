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

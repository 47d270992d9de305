//! The tag of a comment: how it is found again.
//!
//! A comment's first line is its *marker*, which nobody sees: a link reference definition that nothing refers to. That
//! is Markdown of the oldest sort and renders to nothing at all three hosts, where HTML comments do not: Bitbucket
//! shows them as text (<https://github.com/The-PR-Agent/pr-agent/issues/3283>,
//! <https://github.com/terraform-docs/terraform-docs/issues/463>; GitHub and GitLab follow
//! <https://spec.commonmark.org/0.31.2/#link-reference-definitions>). It is stored as it was sent.
//!
//! Only the first line counts, so that neither a quotation of a comment nor a text inside one is taken for it. Whoever
//! edits a comment in an editor that shows no Markdown may lose the marker; then the next caller posts another
//! comment.

use sha2::{Digest as _, Sha256};

use super::VcsError;

/// Longest name that is spelled out in the marker, as it is written there. A longer one counts by its hash: the marker
/// takes room from the text.
const MAX_NAME: usize = 128;

/// Names one comment among all of a pull request or issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// A tag by its name, which may be any text.
    pub fn new(name: &str) -> Result<Self, VcsError> {
        if name.trim().is_empty() {
            return Err(VcsError::BadInput { what: "this tag".to_owned(), reason: "it is empty".to_owned() });
        }
        let mut plain = String::new();
        for byte in name.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => plain.push(char::from(byte)),
                // What could end the marker, or mean something in it.
                _ => plain.extend(['%'].into_iter().chain(hex::encode_upper([byte]).chars())),
            }
        }
        if plain.len() > MAX_NAME {
            // No name that is spelled out has a `:`, so none is taken for a hash.
            plain = format!("sha256:{}", hex::encode(Sha256::digest(name)));
        }
        Ok(Self(plain))
    }

    /// The line that marks a comment.
    pub fn marker(&self) -> String {
        format!("[//]: # (aws-exe:{})", self.0)
    }

    /// What is sent for a text: the marker, an empty line, the text.
    pub(super) fn mark(&self, text: &str) -> String {
        format!("{}\n\n{text}", self.marker())
    }

    /// How many characters [`Tag::mark`] adds.
    pub(super) fn room(&self) -> usize {
        self.mark("").chars().count()
    }

    /// Whether a comment is marked with it.
    pub(super) fn marks(&self, body: &str) -> bool {
        body.lines().next().is_some_and(|line| line.trim_end() == self.marker())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_marker_is_a_reference_that_nothing_refers_to() {
        assert_eq!(Tag::new("run-7").unwrap().marker(), "[//]: # (aws-exe:run-7)");
        assert_eq!(Tag::new("a) b\n").unwrap().marker(), "[//]: # (aws-exe:a%29%20b%0A)");
        assert!(Tag::new(" ").is_err());
    }

    #[test]
    fn only_the_first_line_counts() {
        let tag = Tag::new("a").unwrap();
        for body in ["[//]: # (aws-exe:a)", "[//]: # (aws-exe:a)\r\n\r\ntext", "[//]: # (aws-exe:a) \ntext"] {
            assert!(tag.marks(body), "{body:?}");
        }
        let quoted = format!("> {}", tag.mark("text"));
        let inside = Tag::new("b").unwrap().mark(&tag.mark("text"));
        for body in ["", "[//]: # (aws-exe:ab)", "aws-exe:a", &quoted, &inside] {
            assert!(!tag.marks(body), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_marks_its_own_comments_alone(one in ".{1,200}", other in ".{1,200}", text in ".{0,20}") {
            prop_assume!(!one.trim().is_empty() && !other.trim().is_empty());
            let (a, b) = (Tag::new(&one).unwrap(), Tag::new(&other).unwrap());
            let body = a.mark(&text);
            prop_assert!(a.marks(&body));
            prop_assert_eq!(b.marks(&body), one == other);
            prop_assert_eq!(body.chars().count(), a.room() + text.chars().count());
            let plain = |c: char| c.is_ascii_alphanumeric() || "[/]: #(.-_%)".contains(c);
            prop_assert!(a.marker().chars().all(plain) && a.room() < 200);
        }
    }
}

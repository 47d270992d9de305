//! What is wrong with a document, each with the path of its field. A path is written out only for a problem that is told:
//! most documents have none, and some have a hundred thousand.

use std::fmt;

use crate::text::shown;

/// Most problems in one report; a document with more is wrong as a whole, and an answer has a size.
pub const MAX_PROBLEMS: usize = 200;

/// What is wrong with a document, each as `orders[2].timeout: …`.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<String>,
    left_out: usize,
}

impl Problems {
    /// Notes a problem at a path; an empty path is the document itself.
    #[cold]
    pub fn add(&mut self, path: impl fmt::Display, problem: impl fmt::Display) {
        if self.found.len() == MAX_PROBLEMS {
            self.left_out += 1;
            return;
        }
        let path = path.to_string();
        let colon = if path.is_empty() { "" } else { ": " };
        self.found.push(format!("{path}{colon}{problem}"));
    }

    /// How many are noted.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them; the last says how many more there are.
    pub fn into_vec(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.found.push(format!("… and {} more problems", self.left_out));
        }
        self.found
    }
}

/// The way to a value. Each step lies on the stack of whoever takes it.
#[derive(Clone, Copy, Debug)]
pub enum Path<'a> {
    /// To the document itself.
    Document,
    /// On to a field of an object.
    Field(&'a Self, &'a str),
    /// On to an item of a list.
    Item(&'a Self, usize),
}

impl Path<'_> {
    /// On to a field.
    pub fn field<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    /// On to an item.
    pub fn item(&self, index: usize) -> Path<'_> {
        Path::Item(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => Ok(()),
            Self::Field(Self::Document, name) => f.write_str(&shown(name)),
            Self::Field(parent, name) => write!(f, "{parent}.{}", shown(name)),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The known name that was probably meant.
pub fn similar<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(name, known).filter(|near| strsim::jaro_winkler(name, near) > 0.75)
}

/// The known name that is nearest, however far. Of several the same one in whatever order they come.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A name of kilobytes is near to nothing, and comparing costs the product of the lengths.
    let name = (name.len() <= 128).then_some(name)?;
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)))
        .map(|(_, candidate)| candidate)
}

/// The end of a problem, which asks whether another name is meant. That one is looked for only if somebody is told: there may
/// be a hundred thousand names to compare, and as many problems that nobody hears of.
pub struct Meant<F>(pub F);

impl<'n, F: Fn() -> Option<&'n str>> fmt::Display for Meant<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0)() {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

//! A job that cannot be used, and how that is told. What kind of trouble it is decides the error's code; the problems are
//! there in plain for machines, and drawn into the text for people.

use std::sync::Arc;

use common::intake::shape::MAX_PROBLEMS;

use super::{
    excerpt::{self, Marked, Style},
    source::Source,
};
use crate::{code::Code, failure::Failure};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// None is given.
    Missing,
    /// It cannot be read, as this line tells.
    Unread(String),
    /// It is larger than any job may be, as this line tells.
    TooLarge(String),
    /// It is no JSON, or no YAML.
    Syntax,
    /// The values of `--var` are none.
    Values,
    /// The values of `--var` and what the job uses do not fit.
    Unfilled,
    /// The engine does not accept it.
    Invalid,
}

/// A job that cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct BadJob {
    /// What is wrong.
    pub(crate) trouble: Trouble,
    /// Each problem, with its place as far as it has one; none where the trouble says it all.
    pub(crate) problems: Vec<Marked>,
    /// The text that the places are in, if one was read.
    pub(crate) source: Option<Arc<Source>>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl BadJob {
    /// Trouble without a text.
    pub(super) fn of(trouble: Trouble) -> Self {
        Self { trouble, problems: Vec::new(), source: None, hint: None }
    }

    /// Trouble in a text.
    pub(super) fn within(source: Arc<Source>, trouble: Trouble, problems: Vec<Marked>) -> Self {
        Self { trouble, problems, source: Some(source), hint: None }
    }

    /// With what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong, in a line without `error: ` before it.
    pub(crate) fn title(&self) -> String {
        let count = || match self.problems.len() {
            1 => "1 problem".to_owned(),
            count if count > MAX_PROBLEMS => format!("more than {MAX_PROBLEMS} problems"),
            count => format!("{count} problems"),
        };
        match (&self.trouble, &self.source) {
            (Trouble::Missing, _) => "no job is given".to_owned(),
            (Trouble::Unread(told) | Trouble::TooLarge(told), _) => told.clone(),
            (Trouble::Syntax, Some(source)) => format!("`{}` is not {}", source.name, source.format),
            (Trouble::Syntax, None) => "the job cannot be read".to_owned(),
            (Trouble::Values, _) => format!("the values of `--var` cannot be used: {}", count()),
            (Trouble::Unfilled, _) => format!("the job cannot be filled in: {}", count()),
            (Trouble::Invalid, _) => format!("the job is not valid: {}", count()),
        }
    }

    /// What a person reads: the title, which may have been given a code, and each problem with its line.
    pub(crate) fn shown(&self, title: &str, style: Style) -> String {
        match &self.source {
            Some(source) => excerpt::render(title, source, &self.problems, style),
            None => self.problems.iter().fold(title.to_owned(), |told, marked| told + "\n  = " + &marked.problem),
        }
    }
}

impl From<BadJob> for Failure {
    fn from(bad: BadJob) -> Self {
        let code = match bad.trouble {
            Trouble::Missing => Code::JobMissing,
            Trouble::Unread(_) => Code::JobUnreadable,
            Trouble::TooLarge(_) => Code::JobTooLarge,
            Trouble::Syntax => Code::JobSyntax,
            Trouble::Values | Trouble::Unfilled => Code::VariableWrong,
            Trouble::Invalid => Code::JobInvalid,
        };
        let title = bad.title();
        let style = Style::of_stderr();
        let excerpt = (!bad.problems.is_empty()).then(|| bad.shown(&Self::headline(code, &title), style));
        let places = bad.source.as_ref().map(|source| {
            let place = |marked: &Marked| marked.place.as_ref().map(|place| source.position(place.start));
            bad.problems.iter().map(place).collect()
        });
        Self {
            excerpt,
            hint: bad.hint.map(String::into_boxed_str),
            places: places.unwrap_or_default(),
            ..Self::new(code, title).problems(bad.problems.into_iter().map(|marked| marked.problem).collect())
        }
    }
}

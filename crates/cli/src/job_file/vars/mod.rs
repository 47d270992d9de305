//! Values that are given with the command: `${var.NAME}` in a text of the job becomes what `--var NAME=VALUE` says.
//!
//! Only there, and only once: what a value brings along is not looked at again, names of fields are left alone, and so is
//! every other `$`, which is the shell's. `$${var.NAME}` writes `${var.NAME}`. A job is read before it is filled in, so no
//! value can change anything but its text. Where the job's schema wants a number or a boolean and the text is nothing but
//! one `${var.NAME}`, the value becomes that, if it is one.
//!
//! A value that nothing uses, one that is used and not given, and what only looks like a use are errors, all told at once.

pub(crate) mod schema;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use common::{
    env::Environment,
    intake::{
        request::MAX_JOB_BYTES,
        shape::{Meant, Path, Problems, similar},
        validate::is_variable_name,
    },
    text::shown,
};
use serde_json::Value;

use wanted::Place;

/// What a use begins with.
const BEGINNING: &str = "${var.";
/// How the problem of a use begins that stands in a field's name.
pub(super) const IN_A_NAME: &str = "has `${var.` in its name";

/// The values that were given.
#[derive(Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// A job that cannot be filled in.
#[derive(Debug, Default)]
pub(super) struct Misfits {
    /// What is wrong, each with its path, as the validator's problems.
    pub(super) problems: Vec<String>,
    /// For each of them the characters that it is about; shorter when problems follow that are nowhere.
    pub(super) parts: Vec<String>,
    /// A name that is used and not given.
    pub(super) undefined: Option<String>,
}

impl Variables {
    /// Reads `NAME=VALUE` and `NAME`, which takes the variable of the environment.
    pub(super) fn of(given: &[String], environment: &Environment) -> Result<Self, Vec<String>> {
        let mut values = BTreeMap::new();
        let mut problems = Vec::new();
        for text in given {
            let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
            let value = value.or_else(|| environment.get(name));
            if !is_variable_name(name) {
                problems.push(format!("`--var` takes NAME=VALUE or NAME, and `{}` is no name", shown(name)));
            } else if let Some(value) = value {
                if values.insert(name.to_owned(), value.to_owned()).is_some() {
                    problems.push(format!("`--var {name}` is given twice"));
                }
            } else {
                problems.push(format!("`--var {name}` takes the environment's variable, which is not set or is empty"));
            }
        }
        if problems.is_empty() { Ok(Self(values)) } else { Err(problems) }
    }

    /// Whether none is given.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fills them into a job.
    pub(super) fn fill(&self, job: &mut Value) -> Result<(), Misfits> {
        let schema = if self.is_empty() { Value::Null } else { common::job::schema() };
        let mut filling = Filling {
            values: &self.0,
            used: BTreeSet::new(),
            bytes: 0,
            problems: Problems::default(),
            parts: Vec::new(),
            undefined: None,
        };
        filling.value(job, &Path::Document, Place::of(&schema));
        let Filling { used, bytes, mut problems, parts, undefined, .. } = filling;
        if bytes > MAX_JOB_BYTES {
            let problems = vec![format!("the job has more than {MAX_JOB_BYTES} bytes with the values of `--var`")];
            return Err(Misfits { problems, ..Misfits::default() });
        }
        for name in self.0.keys().filter(|name| !used.contains(name.as_str())) {
            problems.add("", format_args!("`--var {name}` is used nowhere in the job"));
        }
        if problems.is_empty() { Ok(()) } else { Err(Misfits { problems: problems.into_vec(), parts, undefined }) }
    }
}

struct Filling<'a> {
    values: &'a BTreeMap<String, String>,
    used: BTreeSet<&'a str>,
    /// Of all texts that were filled in.
    bytes: usize,
    problems: Problems,
    parts: Vec<String>,
    undefined: Option<String>,
}

impl Filling<'_> {
    fn value(&mut self, value: &mut Value, path: &Path<'_>, place: Place<'_>) {
        match value {
            Value::String(text) => {
                let Some(filled) = self.text(text, path) else { return };
                let is_one_use = text.starts_with(BEGINNING) && text.find('}') == Some(text.len() - 1);
                *value = is_one_use.then(|| place.wanted().of(&filled)).flatten().unwrap_or(Value::String(filled));
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &path.item(index), place.item());
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = path.field(name);
                    if name.contains(BEGINNING) {
                        self.misfit(&path, BEGINNING, &format!("{IN_A_NAME}; values are filled into texts alone"));
                    }
                    self.value(value, &path, place.field(name));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The text filled in, if there is anything to fill in.
    fn text(&mut self, text: &str, path: &Path<'_>) -> Option<String> {
        if self.bytes > MAX_JOB_BYTES {
            return None;
        }
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(BEGINNING) {
            let (before, use_and_rest) = rest.split_at(at);
            let after = &use_and_rest[BEGINNING.len()..];
            if let Some(before) = before.strip_suffix('$') {
                filled.extend([before, BEGINNING]);
                rest = after;
                continue;
            }
            filled.push_str(before);
            let closed = after.split_once('}').filter(|(name, _)| !name.contains('\n'));
            let Some((name, after)) = closed else {
                self.misfit(path, BEGINNING, "`${var.` has no `}` behind it; `$${var.` writes it as it is");
                rest = after;
                continue;
            };
            rest = after;
            if let Some((name, value)) = self.values.get_key_value(name) {
                self.used.insert(name);
                filled.push_str(value);
            } else {
                self.unknown(path, name);
            }
            if self.bytes + filled.len() > MAX_JOB_BYTES {
                break;
            }
        }
        (rest.len() < text.len()).then(|| {
            filled.push_str(rest);
            self.bytes += filled.len();
            filled
        })
    }

    fn unknown(&mut self, path: &Path<'_>, name: &str) {
        let part = format!("{BEGINNING}{name}}}");
        if is_variable_name(name) {
            let near = Meant(|| similar(name, self.values.keys().map(String::as_str)));
            let problem = format!("`{part}` has no value{near}");
            self.misfit(path, &part, &problem);
            self.undefined.get_or_insert_with(|| name.to_owned());
        } else {
            let problem = format!("`{}` is no name of a value; use `[A-Za-z_][A-Za-z0-9_]*`", shown(name));
            self.misfit(path, &part, &problem);
        }
    }

    fn misfit(&mut self, path: &Path<'_>, part: &str, problem: &str) {
        let before = self.problems.len();
        self.problems.add(path, problem);
        if self.problems.len() > before {
            self.parts.push(part.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;

//! The job that a verb works on: read from a file, from standard input or from the environment, JSON or YAML, and filled in
//! with the values of `--var`. Every verb reads it here, and what is wrong with it is shown where it is written.
//!
//! ```text
//!  JobArgs ─▶ Source (text) ─▶ yaml, common::json ─▶ vars ─▶ JobFile
//!                                    │                 │        │ invalid(problems of the validator)
//!                                    └──── BadJob ◀────┴────────┘
//!                                            │ spans: the place of each problem
//!                                            ▼ excerpt: its line, and a mark below
//! ```

mod bad;
pub(crate) mod excerpt;
mod source;
mod spans;
#[cfg(test)]
mod tests;
mod vars;
mod yaml;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use common::{
    env::{Environment, JOB_JSON},
    intake::request::{MAX_JOB_BYTES, MAX_JOB_VALUES},
    json,
};
use serde_json::Value;

use crate::args::JobArgs;
pub(crate) use bad::{BadJob, Trouble};
use excerpt::Marked;
use source::{Format, Source};
use spans::Places;
pub(crate) use vars::schema;
use vars::{Misfits, Variables};

/// A job, and the text that it was read from.
#[derive(Debug)]
pub(crate) struct JobFile {
    /// The job, filled in.
    pub(crate) document: Value,
    source: Arc<Source>,
}

/// Reads the job that is asked for.
pub(crate) fn read(args: &JobArgs, environment: &Environment) -> Result<JobFile, BadJob> {
    let variables = Variables::of(&args.vars, environment).map_err(|problems| {
        let problems = problems.into_iter().map(|problem| Marked { place: None, problem }).collect();
        BadJob { problems, ..BadJob::of(Trouble::Values) }
    })?;
    JobFile::of(Arc::new(load(args.job.as_deref(), environment)?), &variables)
}

impl JobFile {
    fn of(source: Arc<Source>, variables: &Variables) -> Result<Self, BadJob> {
        let mut document = parse(&source)?;
        if let Err(misfits) = variables.fill(&mut document) {
            return Err(misfit(source, misfits));
        }
        let is_as_written = source.format == Format::Json && variables.is_empty();
        if !is_as_written && size(&document) > MAX_JOB_BYTES {
            let told = format!("the job `{}` is larger than {MAX_JOB_BYTES} bytes as JSON", source.name);
            return Err(BadJob::of(Trouble::TooLarge(told)));
        }
        Ok(Self { document, source })
    }

    /// What the validator, or a submission's answer, finds wrong with it.
    pub(crate) fn invalid(self, problems: Vec<String>) -> BadJob {
        let places = Places::of(&self.source);
        let problems: Vec<Marked> =
            problems.into_iter().map(|problem| Marked { place: places.place(&problem), problem }).collect();
        BadJob::within(self.source, Trouble::Invalid, problems)
    }
}

/// The text of the job. Without a path it is the variable's.
fn load(path: Option<&Path>, environment: &Environment) -> Result<Source, BadJob> {
    let unread = |told: String| BadJob::of(Trouble::Unread(told));
    let Some(path) = path else {
        let text = environment.get(JOB_JSON.name).ok_or_else(|| {
            BadJob::of(Trouble::Missing)
                .hint(format!("name a file, or `-` for standard input, or set `{}`", JOB_JSON.name))
        })?;
        return Ok(Source { name: format!("${}", JOB_JSON.name), text: text.to_owned(), format: Format::Json });
    };
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let file: Box<dyn Read> = if is_stdin {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| unread(format!("failed to open the job `{name}`: {error}")))?)
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_JOB_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unread(format!("failed to read the job `{name}`: {error}")))?;
    if bytes.len() > MAX_JOB_BYTES {
        let told = format!("the job `{name}` is larger than {MAX_JOB_BYTES} bytes");
        return Err(BadJob::of(Trouble::TooLarge(told)));
    }
    let text = String::from_utf8(bytes).map_err(|_| unread(format!("the job `{name}` is not UTF-8")))?;
    // Editors of one system write it, and it means nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => Format::Yaml,
        Some("json") => Format::Json,
        _ if text.trim_start().starts_with('{') => Format::Json,
        _ => Format::Yaml,
    };
    Ok(Source { name, text: text.to_owned(), format })
}

fn parse(source: &Arc<Source>) -> Result<Value, BadJob> {
    let broken =
        |problem: String, place| BadJob::within(Arc::clone(source), Trouble::Syntax, vec![Marked { place, problem }]);
    let too_much = |told: String| BadJob::of(Trouble::TooLarge(format!("the job `{}` {told}", source.name)));
    match source.format {
        Format::Json => {
            json::read_document(source.text.as_bytes(), MAX_JOB_VALUES).map_err(|error| match error.place {
                Some((line, column)) => broken(error.problem, Some(source.character(source.offset(line, column)))),
                None => too_much(error.problem),
            })
        }
        Format::Yaml => yaml::read(source).map_err(|error| match error {
            yaml::Unreadable::Broken(problem, place) => broken(problem, place),
            yaml::Unreadable::TooMuch(told) => too_much(told),
        }),
    }
}

fn misfit(source: Arc<Source>, misfits: Misfits) -> BadJob {
    let places = Places::of(&source);
    let parts = misfits.parts.iter().map(Some).chain(std::iter::repeat(None));
    let marked = misfits.problems.into_iter().zip(parts).map(|(problem, part)| {
        let place = part.and_then(|part| places.place_within(&problem, part));
        Marked { place, problem }
    });
    let problems = marked.collect();
    let bad = BadJob::within(source, Trouble::Unfilled, problems);
    match misfits.undefined {
        Some(name) => bad.hint(format!(
            "give it with `--var {name}=VALUE`, or with `--var {name}` if the environment has a variable of that name"
        )),
        None => bad,
    }
}

/// Its bytes as JSON.
fn size(document: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A value that came from JSON or YAML is written without errors.
    serde_json::to_writer(&mut count, document).map_or(usize::MAX, |()| count.0)
}

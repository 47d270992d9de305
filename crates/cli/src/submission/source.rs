//! `--source DIR`: the code of this machine as the S3 zip of every order that names no source of its own. What
//! `.gitignore` says is left out, and `.git`.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use common::archive::{self, Packed};
use ignore::WalkBuilder;
use serde_json::Value;

use crate::{
    code::Code,
    engine::Engine,
    failure::Failure,
    output::{Event, Output},
    progress::Progress,
};

/// A packed folder, before it is sent.
#[derive(Debug)]
pub(crate) struct Source {
    file: tempfile::NamedTempFile,
    packed: Packed,
}

impl Source {
    /// Where it will be in this bucket. Named by its content: the same code is the same object.
    fn key(&self) -> String {
        format!("sources/uploads/{}.zip", self.packed.sha256)
    }
}

/// Packs the folder.
pub(crate) fn pack(folder: &Path, output: &Output) -> Result<Source, Failure> {
    let shown = folder.display();
    let wrong = |problem: String| Failure::new(Code::SourceWrong, format!("`--source {shown}`: {problem}"));
    if !folder.is_dir() {
        return Err(wrong("there is no such folder".to_owned()));
    }
    let (paths, total) = paths(folder).map_err(|error| wrong(error.to_string()))?;
    if paths.is_empty() {
        return Err(wrong("there is nothing in it that `.gitignore` does not leave out".to_owned()));
    }
    let machine = |error: std::io::Error| {
        Failure::new(Code::MachineFailed, format!("failed to make a file for the packed code: {error}"))
    };
    let file = tempfile::NamedTempFile::new().map_err(machine)?;
    let progress = Progress::new(output, "packing", total);
    let mut out: File = file.reopen().map_err(machine)?;
    let packed = archive::pack_paths(folder, paths, &mut out, |bytes| progress.at(bytes));
    progress.end();
    let packed = packed
        .map_err(|error| wrong(error.to_string()).hint("take it out of the folder, or name it in `.gitignore`"))?;
    output.event(&Event::Progress { what: "packed", bytes: packed.bytes, of: packed.bytes })?;
    Ok(Source { file, packed })
}

/// What is packed, in order of names, and how many bytes files have.
fn paths(folder: &Path) -> Result<(Vec<PathBuf>, u64), ignore::Error> {
    let walk = WalkBuilder::new(folder)
        // Everything that git would take: hidden files too. What the user has ignored elsewhere on this machine
        // (`~/.config/git/ignore`, `.git/info/exclude`, `.ignore`) does not count, so that everybody sends the same.
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .git_ignore(true)
        .parents(true)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(std::ffi::OsStr::cmp)
        .build();
    let (mut paths, mut total) = (Vec::new(), 0);
    for entry in walk {
        let entry = entry?;
        if entry.depth() == 0 {
            continue;
        }
        total += entry.metadata().ok().filter(std::fs::Metadata::is_file).map_or(0, |metadata| metadata.len());
        paths.push(entry.into_path());
    }
    Ok((paths, total))
}

/// Sends it, and names it in every order of the job that has no source.
pub(crate) async fn put(engine: &Engine, source: &Source, job: &mut Value, output: &Output) -> Result<(), Failure> {
    let key = source.key();
    let location = format!("s3://{}/{key}", engine.names.internal_bucket);
    if assign(job, &location) == 0 {
        return Err(Failure::new(Code::SourceWrong, "`--source`: every order of the job has a source of its own")
            .hint("leave `--source` out, or take `git_repo` and `s3_location` out of the job"));
    }
    let progress = Progress::new(output, "sending", source.packed.bytes);
    let bar = progress.clone();
    let sent = engine.objects().put_file_watched(&key, source.file.path(), move |bytes| bar.at(bytes)).await;
    progress.end();
    sent?;
    output.event(&Event::Progress { what: "sent", bytes: source.packed.bytes, of: source.packed.bytes })
}

/// Names the location in every order that has no source; says in how many.
fn assign(job: &mut Value, location: &str) -> usize {
    let is_given = |value: &Value, field: &str| value.get(field).is_some_and(|value| !value.is_null());
    if is_given(job, "git_repo") {
        return 0;
    }
    let Some(orders) = job.get_mut("orders").and_then(Value::as_array_mut) else { return 0 };
    let mut count = 0;
    for order in orders.iter_mut().filter(|order| order.is_object()) {
        if !is_given(order, "git_repo") && !is_given(order, "s3_location") {
            order["s3_location"] = location.into();
            count += 1;
        }
    }
    count
}

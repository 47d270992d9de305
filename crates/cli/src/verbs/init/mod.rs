//! `aws-exe init [FILE]`: writes a job to begin with, which runs as it is. It overwrites nothing unless it is told to.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
};

use common::text::shown;
use serde_json::json;

use crate::{args::InitArgs, code::Code, exit::Exit, failure::Failure, output::Output};

/// With comments, which JSON does not have.
const YAML: &str = include_str!("job.yaml");
/// The same job.
const JSON: &str = include_str!("job.json");
/// Where the line for editors in the starter looks for the schema.
const SCHEMA: &str = "job.schema.json";

/// Writes the starter.
pub(crate) fn init(args: &InitArgs, output: &Output) -> Result<Exit, Failure> {
    let path = &args.file;
    if path == Path::new("-") {
        if args.schema {
            return Err(Failure::new(
                Code::OptionWrong,
                "`--schema` writes a file beside the job, and `-` prints the job",
            )
            .hint("`aws-exe schema` prints the schema"));
        }
        output.finish(&json!({"job": YAML}), || YAML.to_owned())?;
        return Ok(Exit::Success);
    }
    let starter = match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => YAML,
        Some("json") => JSON,
        _ => {
            return Err(Failure::new(
                Code::OptionWrong,
                format!("`{}` is neither YAML nor JSON by its name", path.display()),
            )
            .hint("name a file that ends in `.yaml`, `.yml` or `.json`"));
        }
    };
    // The starter names the default.
    let name = shown(&path.display().to_string());
    let mut files = vec![(path.clone(), starter.replace("job.yaml", &name))];
    if args.schema {
        files.push((path.with_file_name(SCHEMA), super::schema::text()?));
    }
    // Before anything is written, so that not half of it is.
    if let Some((path, _)) = files.iter().find(|(path, _)| !args.force && path.exists()) {
        return Err(exists(path));
    }
    for (path, text) in &files {
        write(path, text, args.force)?;
        output.text(&format!("wrote `{}`\n", path.display()))?;
    }
    let wrote: Vec<_> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    output.finish(&json!({"wrote": wrote}), || format!("run it with `aws-exe run {name}`\n"))?;
    Ok(Exit::Success)
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let written = if force {
        fs::write(path, text)
    } else {
        File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()))
    };
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => Failure::new(Code::FileUnreadable, format!("failed to write `{}`: {error}", path.display())),
    })
}

fn exists(path: &Path) -> Failure {
    Failure::new(Code::FileExists, format!("`{}` is there already", path.display()))
        .hint("name another file, or overwrite it with `--force`")
}

#[cfg(test)]
mod tests {
    use common::{env::Environment, intake::validate::validate};
    use serde_json::Value;

    use super::*;
    use crate::{args::JobArgs, job_file, verbs::validate::rules};

    #[test]
    fn the_starter_is_valid_and_the_same_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::default();
        let document = |name: &str| -> Value {
            let job = Some(folder.path().join(name));
            let args = InitArgs { file: job.clone().unwrap(), schema: false, force: false };
            init(&args, &Output::new(true)).unwrap();
            job_file::read(&JobArgs { job, ..JobArgs::default() }, &environment).unwrap().document
        };
        let yaml = document("job.yaml");
        assert_eq!(document("job.json"), yaml);
        validate(&yaml, &rules(&environment, false).unwrap()).unwrap();
    }

    /// Whoever takes the `#` away from a line of the starter gets a job as well.
    #[test]
    fn what_is_commented_out_is_valid() {
        let is_field = |line: &str| {
            let name = line.split(':').next().unwrap_or_default();
            line.contains(": ") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        let mut taken = 0;
        let uncommented = YAML.lines().map(|line| {
            let (margin, rest) = line.split_at(line.len() - line.trim_start().len());
            match rest.strip_prefix("# ").filter(|field| is_field(field)) {
                Some(field) => {
                    taken += 1;
                    format!("{margin}{field}\n")
                }
                None => format!("{line}\n"),
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let job = folder.path().join("job.yaml");
        fs::write(&job, uncommented.collect::<String>()).unwrap();
        let environment = Environment::default();
        let read = job_file::read(&JobArgs { job: Some(job), ..JobArgs::default() }, &environment).unwrap();
        validate(&read.document, &rules(&environment, false).unwrap()).unwrap();
        assert_eq!(taken, 5);
    }
}

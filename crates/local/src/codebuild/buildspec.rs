//! Buildspecs, as far as the engine's own needs it: version 0.2 with variables and the commands of the four phases.
//! Everything else is refused when it is read.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::codebuild::record::PhaseKind;

/// The version in which the commands of a phase share one shell.
const VERSION: &str = "0.2";

/// What a build does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Buildspec {
    version: String,
    #[serde(default)]
    env: Env,
    phases: Phases,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Env {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phases {
    #[serde(default)]
    install: Phase,
    #[serde(default)]
    pre_build: Phase,
    #[serde(default)]
    build: Phase,
    #[serde(default)]
    post_build: Phase,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phase {
    #[serde(default)]
    commands: Vec<String>,
}

impl Buildspec {
    /// Reads one; the error says what is not understood, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // `no`, `on` and `y` are words, as YAML 1.2 has it.
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let spec: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
        if spec.version != VERSION {
            return Err(format!("version `{}` is not part of the embedded AWS, only `{VERSION}` is", spec.version));
        }
        Ok(spec)
    }

    /// The variables that it sets.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.env.variables
    }

    /// The phases in their order with their commands, which may be none.
    pub(crate) fn phases(&self) -> [(PhaseKind, &[String]); 4] {
        [
            (PhaseKind::Install, &self.phases.install.commands),
            (PhaseKind::PreBuild, &self.phases.pre_build.commands),
            (PhaseKind::Build, &self.phases.build.commands),
            (PhaseKind::PostBuild, &self.phases.post_build.commands),
        ]
    }
}

/// A shell script that runs commands one after the other in one shell, and ends with the first that fails. The number
/// of the command that it is at stands in the file `place`.
pub(crate) fn script(commands: &[String], place: &Path) -> String {
    let place = place.to_string_lossy().replace('\'', r"'\''");
    let steps = commands.iter().enumerate().map(|(number, command)| {
        // The subshell passes the command's status on, so that it can be asked for once more.
        format!("printf %s {number} >'{place}'\n{command}\n(exit $?) || exit $?\n")
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_four_phases_are_read() {
        let spec = "
version: 0.2
env:
  variables:
    A: 1
    B: no
phases:
  install:
    commands: [one]
  build:
    commands:
      - two
      - |
        three
        four
";
        let spec = Buildspec::parse(spec).unwrap();
        let variables: Vec<_> = spec.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(variables, ["A=1", "B=no"]);
        let counts = spec.phases().map(|(_, commands)| commands.len());
        assert_eq!(counts, [1, 0, 2, 0]);
        assert_eq!(spec.phases()[2].1[1], "three\nfour\n");
    }

    #[test]
    fn what_is_not_here_is_named() {
        for (spec, named) in [
            ("version: 0.1\nphases: {build: {commands: [x]}}", "0.1"),
            ("version: 0.2\nphases: {}\nartifacts: {files: [x]}", "artifacts"),
            ("version: 0.2\nphases: {build: {commands: [x], finally: [y]}}", "finally"),
            ("version: 0.2\nenv: {parameter-store: {A: b}}\nphases: {}", "parameter-store"),
            ("version: 0.2\nrun-as: root\nphases: {}", "run-as"),
            ("version: 0.2", "phases"),
            ("phases: {}", "version"),
        ] {
            let error = Buildspec::parse(spec).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_script_ends_with_the_first_command_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("it's");
        let run = |commands: &[&str]| {
            let commands: Vec<String> = commands.iter().map(|command| (*command).to_owned()).collect();
            let ran = Command::new("sh").arg("-c").arg(script(&commands, &place)).output().unwrap();
            (ran.status.code(), String::from_utf8(ran.stdout).unwrap(), std::fs::read_to_string(&place).unwrap())
        };
        let text = str::to_owned;
        assert_eq!(run(&["A=1; cd /", "echo $A $PWD"]), (Some(0), text("1 /\n"), text("1")));
        assert_eq!(run(&["echo 1", "(exit 3)", "echo 2"]), (Some(3), text("1\n"), text("1")));
        assert_eq!(run(&["exit 4", "echo 2"]), (Some(4), text(""), text("0")));
        assert_eq!(run(&["false # why", "echo 2"]), (Some(1), text(""), text("0")));
        assert_eq!(run(&["sh -c 'kill -9 $$'"]), (Some(137), text(""), text("0")));
    }
}

//! The start log: a file outside of the engine to which the commands of orders append a line when they begin and when
//! they end. What stands in it ran; no retry and no duplicate of the engine can hide from it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What the line of an order's first command has, and nothing else is likely to.
const BEGIN: &str = " begin ";
/// The same of its last command.
const END: &str = " end ";

/// One line of the start log: `<run_id> <order name> <instance or -> begin|end <epoch ms or ->`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The run.
    pub run_id: String,
    /// The order's name.
    pub order: String,
    /// Of an order on instances, the one on which this was written.
    pub instance: Option<String>,
    /// Whether the commands began or ended.
    pub what: Started,
    /// When, in epoch milliseconds of machine time. None where S3's dates are of another time, so that nothing could be
    /// compared with it.
    pub at_ms: Option<u64>,
}

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Started {
    /// The first command runs.
    Begin,
    /// The last command runs; all before it succeeded.
    End,
}

/// A line that is none of the start log's.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAStart(String);

impl fmt::Display for NotAStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not `<run> <order> <instance or -> begin|end <ms>`", self.0)
    }
}

impl std::error::Error for NotAStart {}

impl FromStr for Start {
    type Err = NotAStart;

    fn from_str(line: &str) -> Result<Self, NotAStart> {
        let wrong = || NotAStart(line.chars().take(200).collect());
        let [run_id, order, instance, what, at_ms] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let what = match what {
            "begin" => Started::Begin,
            "end" => Started::End,
            _ => return Err(wrong()),
        };
        Ok(Self {
            run_id: run_id.to_owned(),
            order: order.to_owned(),
            instance: (instance != "-").then(|| instance.to_owned()),
            what,
            at_ms: if at_ms == "-" { None } else { Some(at_ms.parse().map_err(|_| wrong())?) },
        })
    }
}

/// The first and the last command of an order that writes its start log to this file. A line is appended by one `write`,
/// so those of many orders do not mix.
///
/// The environment of commands names no instance, but on one of them `CALLBACK_URL` is that of its share's result.
pub fn commands(file: &str) -> [String; 2] {
    writing(file, "$(date +%s%3N)")
}

/// The same without the time, for a stack whose time is not the machine's.
pub fn untimed_commands(file: &str) -> [String; 2] {
    writing(file, "-")
}

fn writing(file: &str, time: &str) -> [String; 2] {
    let file = file.replace('\'', r"'\''");
    let instance = r#"$(case "$CALLBACK_URL" in (*/instances/*) u=${CALLBACK_URL%%/result.json*}; echo "${u##*/}" ;; (*) echo - ;; esac)"#;
    [BEGIN, END].map(|what| format!("echo \"$RUN_ID $ORDER_ID {instance}{what}{time}\" >> '{file}'"))
}

/// What a command of [`commands`] writes; nothing for other commands.
pub(crate) fn written_by(command: &str) -> Option<Started> {
    if command.contains(BEGIN) { Some(Started::Begin) } else { command.contains(END).then_some(Started::End) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let start: Start = "r.1 build i-1 end 1732156800123".parse().unwrap();
        assert_eq!((start.run_id.as_str(), start.order.as_str()), ("r.1", "build"));
        assert_eq!(
            (start.instance.as_deref(), start.what, start.at_ms),
            (Some("i-1"), Started::End, Some(1_732_156_800_123))
        );
        assert_eq!("r a - begin 1".parse::<Start>().unwrap().instance, None);
        assert_eq!("r a - begin -".parse::<Start>().unwrap().at_ms, None);
        for bad in ["", "a", "r a - begin", "r a - started 1", "r a - begin soon", "r a - begin 1 2"] {
            assert!(bad.parse::<Start>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_commands_write_lines_that_can_be_read() {
        let folder = std::env::temp_dir().join(format!("checker's starts {}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("log");
        let commands = commands(file.to_str().unwrap());
        assert_eq!(commands.each_ref().map(|c| written_by(c)), [Some(Started::Begin), Some(Started::End)]);
        let urls = [
            "http://h/b/tmp/callbacks/runs/r/0001/result.json?X-Amz=1",
            "http://h/b/r/0001/instances/i-7/result.json?X=%2F",
        ];
        for (url, command) in urls.iter().zip(&commands) {
            let shell = std::process::Command::new("/bin/sh")
                .args(["-c", command])
                .envs([("RUN_ID", "r"), ("ORDER_ID", "a"), ("CALLBACK_URL", url)])
                .status();
            assert!(shell.unwrap().success());
        }
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let lines: Vec<Start> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(
            lines.iter().map(|line| (line.what, line.instance.as_deref())).collect::<Vec<_>>(),
            [(Started::Begin, None), (Started::End, Some("i-7"))]
        );
    }
}

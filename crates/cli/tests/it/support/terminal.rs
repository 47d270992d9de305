//! The binary on a terminal: `script` of util-linux makes one, whose two outputs come as one text.

use std::process::{Command, Stdio};

use super::aws_exe::{BINARY, Said, call};

/// A terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Characters of a line.
    pub(crate) columns: u16,
    /// Whether the person who sits at it wants colours.
    pub(crate) colours: bool,
}

impl Terminal {
    /// Makes this call there. What came to the screen is in `stdout`, with the lines' ends that programs write.
    pub(crate) async fn call(self, call_of: Command) -> Said {
        let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
        let arguments: Vec<String> = call_of.get_args().map(quoted).collect();
        let typed = format!("stty rows 30 cols {}; {BINARY} {}", self.columns, arguments.join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &typed, "/dev/null"]).current_dir(call_of.get_current_dir().unwrap());
        for (name, value) in call_of.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.env("TERM", "xterm").env_remove("NO_COLOR");
        if !self.colours {
            script.env("NO_COLOR", "1");
        }
        script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut said = call(script).await;
        said.stdout = said.stdout.replace("\r\n", "\n");
        said
    }
}

//! Stable codes of errors: what a script or a search engine can hold on to while the words change. Each has a page in
//! `docs/errors/`, which `aws-exe explain AES0105` prints.

use crate::exit::Exit;

macro_rules! codes {
    ($($ident:ident = $number:literal $exit:ident $title:literal;)+) => {
        /// One kind of error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $title] $ident,)+
        }

        impl Code {
            /// All of them, by number.
            pub(crate) const ALL: &[Self] = &[$(Self::$ident),+];

            /// As it is printed: `AES0105`.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$ident => concat!("AES", $number),)+
                }
            }

            /// What it means, in a sentence.
            pub(crate) const fn title(self) -> &'static str {
                match self {
                    $(Self::$ident => $title,)+
                }
            }

            /// How the process ends.
            pub(crate) const fn exit(self) -> Exit {
                match self {
                    $(Self::$ident => Exit::$exit,)+
                }
            }

            /// Its page.
            pub(crate) const fn page(self) -> &'static str {
                match self {
                    $(Self::$ident => include_str!(concat!("../../../docs/errors/AES", $number, ".md")),)+
                }
            }
        }
    };
}

// A number is never used for anything else again, and never changes what it means.
codes! {
    // The job, its file, and what is typed beside it.
    JobMissing = "0101" BadInput "no job is given";
    JobUnreadable = "0102" BadInput "the job cannot be read";
    JobTooLarge = "0103" BadInput "the job is too large";
    JobSyntax = "0104" BadInput "the job is neither JSON nor YAML";
    JobInvalid = "0105" BadInput "the job is not valid";
    VariableWrong = "0106" BadInput "a variable of the job is not right";
    FileExists = "0107" BadInput "a file is there already";
    SourceWrong = "0108" BadInput "the folder of `--source` cannot be sent";
    OptionWrong = "0109" BadInput "an option is not right";
    FileUnreadable = "0110" BadInput "a file cannot be read or written";
    // Reaching an engine.
    NoEngine = "0201" Machine "no engine answers";
    EndpointWrong = "0202" BadInput "the endpoint is no URL";
    StackUnreadable = "0203" BadInput "the outputs of the stack cannot be read";
    StackIncomplete = "0204" BadInput "the names of the stack are incomplete";
    NoCredentials = "0205" Machine "there are no AWS credentials";
    AccessDenied = "0206" Machine "AWS denies access";
    AwsFailed = "0207" Machine "AWS did not do what was asked";
    // Submitting.
    JobRefused = "0301" BadInput "the engine refuses the job";
    RunIdTaken = "0302" BadInput "the run id belongs to another job";
    NotSubmitted = "0303" Machine "the job could not be submitted";
    // Runs that are there.
    RunUnknown = "0401" BadInput "there is no such run";
    OrderUnknown = "0402" BadInput "the run has no such order";
    RunNotReady = "0403" BadInput "the run is still being submitted";
    OutcomeGone = "0404" BadInput "what is asked for is no longer stored";
    // Comments on pull requests.
    NoSubject = "0501" BadInput "it is not known where the comment belongs";
    NoToken = "0502" BadInput "there is no token for the code host";
    HostRefused = "0503" Machine "the code host did not do what was asked";
    // This machine.
    MachineFailed = "0601" Machine "this machine failed";
    OutputFailed = "0602" Machine "the output cannot be written";
    EmbeddedFailed = "0603" Machine "the embedded AWS failed";
    SettingsWrong = "0604" BadInput "the settings of the engine are not right";
    NotHealthy = "0605" Failed "something is missing";
    // How runs end; only in JSON, where every end has a code.
    JobFailed = "0701" Failed "the job failed";
    JobTimedOut = "0702" TimedOut "the job timed out";
    JobCancelled = "0703" Failed "the job was cancelled";
    StoppedByUser = "0704" Interrupted "the run was interrupted";
}

impl Code {
    /// The code that a text names.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pages: BTreeSet<String> = names.filter(|name| name != "README.md").collect();
        let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{}.md", code.as_str())).collect();
        assert_eq!(pages, codes);
        let index = fs::read_to_string(format!("{folder}/README.md")).unwrap();
        for code in Code::ALL {
            let head = format!("# {}: {}\n", code.as_str(), code.title());
            assert!(code.page().starts_with(&head), "the page of {} begins with {head:?}", code.as_str());
            assert!(code.page().contains("\n## What to do\n"), "{} does not say what to do", code.as_str());
            let line = format!("| [{0}]({0}.md) | {1} |", code.as_str(), code.title());
            assert!(index.contains(&line), "docs/errors/README.md has no line {line}");
        }
    }

    #[test]
    fn numbers_rise_and_are_there_once() {
        let numbers: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert_eq!(Code::from_text("aes0105"), Some(Code::JobInvalid));
        assert_eq!(Code::from_text("job.yaml"), None);
    }
}

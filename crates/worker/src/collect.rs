//! The events that commands left as files in `$AWS_EXE_SYS_EVENTS_DIR`.
//!
//! The folder is written by strangers: nothing that stands there makes an order fail, is followed or read without
//! a limit. What can't be used becomes an event that says so.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::UNIX_EPOCH,
};

use common::{
    clock::Timestamp,
    worker_event::{MAX_WORD, WorkerEvent},
};
use nix::fcntl::OFlag;
use serde_json::{Map, Value, json};

use crate::mask::Masker;

/// Most files that become events.
pub const MAX_FILES: usize = 100;

/// Bytes that a file may have.
pub const MAX_BYTES: u64 = 64 << 10;

/// Reads the events, sorted by file name, with every secret in them masked.
///
/// The first [`MAX_FILES`] files named `*.json` count, of at most [`MAX_BYTES`] each; all others are counted in one
/// event `events_dropped`. A folder that is gone has no events.
pub fn collect(dir: &Path, masker: &Masker) -> io::Result<Vec<WorkerEvent>> {
    let mut dropped = Dropped::default();
    let mut events = Vec::new();
    let names = first_names(dir, &mut dropped)?;
    // Commands that run as another user could link a file of the worker's into the folder.
    let owner = if names.is_empty() { 0 } else { fs::metadata(dir)?.uid() };
    for name in names {
        let event = match read(&dir.join(&name), owner) {
            Ok(content) => {
                let epoch = content.epoch;
                parse(&name, content).unwrap_or_else(|reason| malformed(&name, &reason, epoch))
            }
            Err(Unread::TooLong(epoch)) => {
                dropped.add(epoch);
                continue;
            }
            Err(Unread::Malformed(reason)) => malformed(&name, &reason, newest(dir)),
        };
        events.push(masked(event, masker));
    }
    if dropped.count > 0 {
        let data = fields([("count", json!(dropped.count))]);
        let epoch = if dropped.epoch == Timestamp::default() { newest(dir) } else { dropped.epoch };
        events.push(WorkerEvent { event_type: "events_dropped".to_owned(), status: "warning".to_owned(), epoch, data });
    }
    Ok(events)
}

/// What is not read.
#[derive(Default)]
struct Dropped {
    count: u64,
    /// When the newest of them was written, as far as that is known.
    epoch: Timestamp,
}

impl Dropped {
    fn add(&mut self, epoch: Timestamp) {
        self.count += 1;
        self.epoch = self.epoch.max(epoch);
    }
}

/// The first names in order; there may be millions, so no more than these are ever kept.
fn first_names(dir: &Path, dropped: &mut Dropped) -> io::Result<BTreeSet<OsString>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        if Path::new(&name).extension() != Some(OsStr::new("json")) {
            continue;
        }
        names.insert(name);
        if names.len() > MAX_FILES {
            names.pop_last();
            dropped.add(Timestamp::default());
        }
    }
    Ok(names)
}

/// A file that was read whole.
struct Content {
    text: Vec<u8>,
    epoch: Timestamp,
}

/// Why a file was not.
enum Unread {
    TooLong(Timestamp),
    Malformed(String),
}

fn read(path: &Path, owner: u32) -> Result<Content, Unread> {
    // A link is not followed; a pipe without a writer does not block.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(code) if code == nix::errno::Errno::ELOOP as i32 => {
            Unread::Malformed("it is not a regular file".to_owned())
        }
        _ => Unread::Malformed(format!("it cannot be read: {}", error.kind())),
    })?;
    let failed = |error: io::Error| Unread::Malformed(format!("it cannot be read: {}", error.kind()));
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Unread::Malformed("it is not a regular file".to_owned()));
    }
    if metadata.uid() != owner {
        return Err(Unread::Malformed("it belongs to another user".to_owned()));
    }
    let epoch = written(&metadata);
    let mut text = Vec::new();
    File::take(file, MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES { Err(Unread::TooLong(epoch)) } else { Ok(Content { text, epoch }) }
}

fn parse(name: &OsStr, Content { text, epoch }: Content) -> Result<WorkerEvent, String> {
    let value = serde_json::from_slice(&text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(mut data) = value else {
        return Err("it is not a JSON object".to_owned());
    };
    let mut word = |field: &str| match data.remove(field) {
        None => Ok(None),
        Some(Value::String(word)) if word.chars().count() <= MAX_WORD => Ok(Some(word).filter(|word| !word.is_empty())),
        Some(_) => Err(format!("`{field}` is not a text of at most {MAX_WORD} characters")),
    };
    let (event_type, status) = (word("event_type")?, word("status")?);
    let stem = || Path::new(name).file_stem().unwrap_or(name).to_string_lossy().chars().take(MAX_WORD).collect();
    let event_type = event_type.unwrap_or_else(stem);
    let event = WorkerEvent { event_type, status: status.unwrap_or_else(|| "info".to_owned()), epoch, data };
    event.check()?;
    Ok(event)
}

fn malformed(name: &OsStr, reason: &str, epoch: Timestamp) -> WorkerEvent {
    let data = fields([("file", json!(name.to_string_lossy())), ("reason", json!(reason))]);
    WorkerEvent { event_type: "malformed_event".to_owned(), status: "warning".to_owned(), epoch, data }
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn masked(event: WorkerEvent, masker: &Masker) -> WorkerEvent {
    WorkerEvent {
        event_type: masker.mask_str(&event.event_type),
        status: masker.mask_str(&event.status),
        epoch: event.epoch,
        data: masker.mask_fields(event.data),
    }
}

/// When something in the folder last changed: the time of what has none of its own.
fn newest(dir: &Path) -> Timestamp {
    fs::symlink_metadata(dir).map_or_else(|_| Timestamp::default(), |metadata| written(&metadata))
}

fn written(metadata: &fs::Metadata) -> Timestamp {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Timestamp::default().plus(since)
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::symlink,
        time::{Duration, SystemTime},
    };

    use nix::{sys::stat::Mode, unistd::mkfifo};
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    fn collected(dir: &Path) -> Vec<WorkerEvent> {
        collect(dir, &Masker::new([("S".to_owned(), SecretString::from("hunter22"))])).unwrap()
    }

    fn only(dir: &Path) -> WorkerEvent {
        let mut events = collected(dir);
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    #[test]
    fn files_become_events_in_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = UNIX_EPOCH + Duration::from_micros(1_732_156_800_123_456);
        for (name, text) in [
            ("b.json", r#"{"event_type": "plan", "status": "ok", "added": 3, "nested": {"a": [1]}}"#),
            ("a.json", "{}"),
            ("c.json", r#"{"event_type": "", "status": ""}"#),
            ("notes.txt", "{}"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
            File::options().write(true).open(dir.path().join(name)).unwrap().set_modified(at).unwrap();
        }
        let events = collected(dir.path());
        let words: Vec<_> = events.iter().map(|event| (event.event_type.as_str(), event.status.as_str())).collect();
        assert_eq!(words, [("a", "info"), ("plan", "ok"), ("c", "info")]);
        assert_eq!(Value::Object(events[1].data.clone()), json!({"added": 3, "nested": {"a": [1]}}));
        assert!(events.iter().all(|event| event.epoch.to_string() == "1732156800.123456"));
        assert!(collected(&dir.path().join("gone")).is_empty());
    }

    #[test]
    fn what_is_no_object_is_reported() {
        for (text, reason) in [
            ("[]", "it is not a JSON object"),
            ("", "it is not JSON: EOF while parsing a value at line 1 column 0"),
            (r#"{"status": 3}"#, "`status` is not a text of at most 128 characters"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("x.json"), text).unwrap();
            let event = only(dir.path());
            assert_eq!((event.event_type.as_str(), event.status.as_str()), ("malformed_event", "warning"));
            assert_eq!(Value::Object(event.data), json!({"file": "x.json", "reason": reason}));
            assert!(event.epoch > Timestamp::default());
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), r#"{"private": true}"#).unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("link.json")).unwrap();
        mkfifo(&dir.path().join("pipe.json"), Mode::S_IRWXU).unwrap();
        fs::create_dir(dir.path().join("folder.json")).unwrap();
        let events = collected(dir.path());
        assert_eq!(events.len(), 3);
        for event in events {
            assert_eq!(event.event_type, "malformed_event");
            assert_eq!(event.data["reason"], "it is not a regular file");
        }
    }

    #[test]
    fn the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..MAX_FILES + 7 {
            fs::write(dir.path().join(format!("{number:03}.json")), "{}").unwrap();
        }
        let room = usize::try_from(MAX_BYTES).unwrap() - r#"{"a":""}"#.len();
        for (name, length) in [("000.json", room), ("001.json", room + 1)] {
            fs::write(dir.path().join(name), format!(r#"{{"a":"{}"}}"#, "x".repeat(length))).unwrap();
        }
        let events = collected(dir.path());
        assert_eq!(events.len(), MAX_FILES - 1 + 1);
        assert_eq!((events[0].event_type.as_str(), events[1].event_type.as_str()), ("000", "002"));
        let last = events.last().unwrap();
        assert_eq!((last.event_type.as_str(), &last.data["count"]), ("events_dropped", &json!(8)));
        assert!(last.epoch > Timestamp::default() && last.epoch.until(events[0].epoch) < Duration::from_mins(5));
    }

    #[test]
    fn secrets_are_masked_everywhere() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hunter22.json"), r#"{"hunter22": ["x hunter22 y"]}"#).unwrap();
        fs::write(dir.path().join("hunter22-too.json"), "hunter22").unwrap();
        let text = serde_json::to_string(&collected(dir.path())).unwrap();
        assert!(!text.contains("hunter22") && text.contains("x *** y"), "{text}");
    }

    #[test]
    fn a_time_before_the_epoch_is_the_epoch() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        fs::write(&path, "{}").unwrap();
        let before: SystemTime = UNIX_EPOCH - Duration::from_secs(5);
        File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
        assert_eq!(only(dir.path()).epoch, Timestamp::default());
    }

    proptest! {
        #[test]
        fn any_content_gives_one_event(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("x.json"), bytes).unwrap();
            only(dir.path());
        }
    }
}

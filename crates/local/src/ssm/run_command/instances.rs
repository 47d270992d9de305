//! The managed instances: who they are, as a file declares them. Nothing about an instance changes while it is there.
//!
//! ```yaml
//! - id: i-web-1
//!   tags: {Role: web}
//! - id: mi-lab
//!   online: false          # not connected: its commands are never delivered
//! - id: i-bare
//!   bare: true             # has not got the worker yet
//!   directory: bare        # its disk; from this file's folder on
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use common::ids::InstanceId;
use serde::Deserialize;

use crate::{arn, options::StartError};

/// The one instance that is there when no file declares any.
const DEFAULT: &str = "i-local";

/// An instance as it is written in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    id: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default = "yes")]
    online: bool,
    #[serde(default)]
    bare: bool,
    directory: Option<PathBuf>,
}

const fn yes() -> bool {
    true
}

/// A managed instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) tags: BTreeMap<String, String>,
    /// Whether its agent is connected.
    pub(crate) online: bool,
    /// Whether its image came without the worker.
    pub(crate) bare: bool,
    /// Stands for its disk: `cache`, `document/orchestration`, `tmp` are below.
    pub(crate) directory: PathBuf,
}

impl Instance {
    /// Whether it is a machine of somebody's own, registered by an activation, and no EC2 instance.
    pub(crate) fn is_hybrid(&self) -> bool {
        self.id.as_str().starts_with("mi-")
    }

    /// Whether it has one of these values under this tag.
    pub(crate) fn is_tagged(&self, key: &str, values: &[&str]) -> bool {
        self.tags.get(key).is_some_and(|value| values.contains(&value.as_str()))
    }
}

/// How events name an instance, also one that is not there any more.
pub(crate) fn arn_of(id: &str) -> String {
    if id.starts_with("mi-") {
        arn("ssm", &format!("managed-instance/{id}"))
    } else {
        arn("ec2", &format!("instance/{id}"))
    }
}

/// All instances, by id.
#[derive(Debug)]
pub(crate) struct Instances(BTreeMap<String, Arc<Instance>>);

impl Instances {
    /// The instances that `file` declares, or the default one. Their folders are below `folder`, unless they name
    /// another.
    pub(crate) fn open(file: Option<&Path>, folder: &Path) -> Result<Self, StartError> {
        let Some(file) = file else {
            let declared = Declared {
                id: DEFAULT.to_owned(),
                tags: BTreeMap::from([("Name".to_owned(), "local".to_owned())]),
                online: true,
                bare: false,
                directory: None,
            };
            return Self::of(vec![declared], folder, folder).map_err(StartError::instances(folder));
        };
        let text = fs::read_to_string(file).map_err(|error| StartError::instances(file)(error.to_string()))?;
        // `no` and `on` are words, as YAML 1.2 has it.
        let options = serde_saphyr::options! { strict_booleans: true };
        let declared = serde_saphyr::from_str_with_options(&text, options).map_err(|error| error.to_string());
        let from = file.parent().unwrap_or(Path::new(""));
        declared.and_then(|declared| Self::of(declared, folder, from)).map_err(StartError::instances(file))
    }

    fn of(declared: Vec<Declared>, folder: &Path, from: &Path) -> Result<Self, String> {
        let mut by_id = BTreeMap::new();
        let mut directories = BTreeSet::new();
        for (index, Declared { id, tags, online, bare, directory }) in declared.into_iter().enumerate() {
            let id: InstanceId = id.parse().map_err(|why| format!("[{index}].id: `{id}` {why}"))?;
            let directory = directory.map_or_else(|| folder.join(id.as_str()), |directory| from.join(directory));
            let absolute = |path: &Path| -> io::Result<PathBuf> { std::path::absolute(path) };
            let directory = absolute(&directory).map_err(|why| format!("[{index}].directory: {why}"))?;
            if !directories.insert(directory.clone()) {
                return Err(format!("[{index}].directory: `{}` is another instance's already", directory.display()));
            }
            let name = id.as_str().to_owned();
            let instance = Instance { id, tags, online, bare, directory };
            if by_id.insert(name.clone(), Arc::new(instance)).is_some() {
                return Err(format!("[{index}].id: `{name}` is declared twice"));
            }
        }
        Ok(Self(by_id))
    }

    /// The instance with this id.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Instance>> {
        self.0.get(id)
    }

    /// All of them, in the order of their ids.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Instances, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleet.yaml");
        fs::write(&file, yaml).unwrap();
        Instances::open(Some(&file), Path::new("/data")).map_err(|error| {
            let error = error.to_string();
            assert!(error.contains("fleet.yaml"), "{error}");
            error
        })
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let instances = read("- id: i-a\n- {id: mi-b, tags: {Role: db}, online: false, bare: true, directory: disk}\n");
        let instances = instances.unwrap();
        let (a, b) = (instances.get("i-a").unwrap(), instances.get("mi-b").unwrap());
        assert!(a.online && !a.bare && a.tags.is_empty() && !a.is_hybrid());
        assert_eq!(a.directory, Path::new("/data/i-a"));
        assert!(!b.online && b.bare && b.is_hybrid() && b.is_tagged("Role", &["web", "db"]));
        assert!(b.directory.is_absolute() && b.directory.ends_with("disk"));
        assert_eq!(arn_of(b.id.as_str()), "arn:aws:ssm:us-east-1:000000000000:managed-instance/mi-b");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (yaml, part) in [
            ("- id: web\n", "[0].id: `web`"),
            ("- id: i-a\n- id: i-a\n  directory: x\n", "[1].id: `i-a` is declared twice"),
            ("- {id: i-a, directory: x}\n- {id: i-b, directory: x}\n", "[1].directory"),
            ("- id: i-a\n  onlin: true\n", "onlin"),
            ("- id: i-a\n  online: no\n", "bool"),
            ("- tags: {}\n", "id"),
            ("id: i-a\n", "sequence"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(part), "{yaml}: {error}");
        }
    }
}

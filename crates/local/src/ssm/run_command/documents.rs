//! The documents that commands can run: the stack's own, and those that clients make.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{
    clock::{Clock, Timestamp},
    stack::Stack,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    ACCOUNT, dates,
    errors::ApiError,
    files,
    service::Service,
    ssm::{
        Answer,
        request::{number, optional, page, text, validation},
        run_command::content::{self, Content, Kind, SCHEMA},
    },
};

/// The document that Terraform deploys as well.
pub(crate) const RUN_COMMANDS: &str = include_str!("../../../../../infra/02-deploy/run-commands.yaml");
/// Largest content in bytes, as on AWS.
const CONTENT_LIMIT: usize = 64 * 1024;
/// The one version that documents have here.
pub(crate) const VERSION: &str = "1";

/// A document as it is saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    content: String,
    /// `JSON` or `YAML`.
    format: String,
    created: Timestamp,
}

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) content: Content,
    stored: Stored,
}

/// All documents.
#[derive(Debug)]
pub(crate) struct Documents {
    clock: Clock,
    file: Option<PathBuf>,
    by_name: Mutex<BTreeMap<String, Arc<Document>>>,
}

impl Documents {
    /// Opens what is in `file`, and gives the stack's own document its present content.
    pub(crate) fn open(clock: Clock, file: Option<PathBuf>) -> io::Result<Self> {
        let mut saved: BTreeMap<String, Stored> = match file.as_ref().map(fs::read) {
            Some(Ok(saved)) => serde_json::from_slice(&saved)?,
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => BTreeMap::new(),
        };
        let own = Stored { content: RUN_COMMANDS.to_owned(), format: "YAML".to_owned(), created: clock.now() };
        saved.insert(Stack::embedded().ssm_document(), own);
        let mut by_name = BTreeMap::new();
        for (name, stored) in saved {
            let document = Document::of(&name, stored).map_err(|error| io::Error::other(error.message))?;
            by_name.insert(name, Arc::new(document));
        }
        Ok(Self { clock, file, by_name: Mutex::new(by_name) })
    }

    /// The document with this name or ARN, in a version that is there.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Document>, ApiError> {
        let short = match name.strip_prefix("arn:") {
            Some(arn) => arn.rsplit_once(":document/").map_or(name, |(_, short)| short),
            None => name,
        };
        let found = self.lock().get(short).cloned().ok_or_else(|| no_such(name))?;
        match version {
            None | Some("$DEFAULT" | "$LATEST" | VERSION) => Ok(found),
            Some(version) => {
                let message = format!("Document with name {short} and version {version} does not exist.");
                Err(ApiError::client("InvalidDocumentVersion", message))
            }
        }
    }

    /// `CreateDocument`.
    pub(crate) fn create(&self, request: &Value) -> Answer {
        let (name, content) = (text(request, "Name")?, text(request, "Content")?);
        check_name(name)?;
        let kind = optional(request, "DocumentType").unwrap_or("Command");
        if kind != "Command" {
            return Err(validation(&format!("documents of the type `{kind}` are not part of the embedded AWS")));
        }
        let format = optional(request, "DocumentFormat").unwrap_or("JSON");
        if !["JSON", "YAML"].contains(&format) {
            return Err(validation("Member must satisfy enum value set: [JSON, YAML]"));
        }
        if content.len() > CONTENT_LIMIT {
            let message = format!("The size limit of a document is {CONTENT_LIMIT} bytes.");
            return Err(ApiError::client("MaxDocumentSizeExceeded", message));
        }
        let mut documents = self.lock();
        if documents.contains_key(name) {
            let message = format!("Document with same name {name} already exists");
            return Err(ApiError::client("DocumentAlreadyExists", message));
        }
        let stored = Stored { content: content.to_owned(), format: format.to_owned(), created: self.clock.now() };
        let document = Arc::new(Document::of(name, stored)?);
        documents.insert(name.to_owned(), Arc::clone(&document));
        self.save(&documents)?;
        Ok(json!({"DocumentDescription": document.describe()}))
    }

    /// `DeleteDocument`.
    pub(crate) fn delete(&self, request: &Value) -> Answer {
        let name = text(request, "Name")?;
        let mut documents = self.lock();
        documents.remove(name).ok_or_else(|| no_such(name))?;
        self.save(&documents)?;
        Ok(json!({}))
    }

    /// `DescribeDocument`.
    pub(crate) fn describe(&self, request: &Value) -> Answer {
        let document = self.find(text(request, "Name")?, optional(request, "DocumentVersion"))?;
        Ok(json!({"Document": document.describe()}))
    }

    /// `GetDocument`.
    pub(crate) fn get(&self, request: &Value) -> Answer {
        let document = self.find(text(request, "Name")?, optional(request, "DocumentVersion"))?;
        let Stored { content, format, created } = &document.stored;
        let wanted = optional(request, "DocumentFormat").unwrap_or("JSON");
        let content = match (wanted, format.as_str()) {
            // Every JSON text is YAML.
            ("YAML", _) | ("JSON", "JSON") => content.clone(),
            ("JSON", _) => format!("{:#}", content::value(content, format)?),
            _ => return Err(validation("Member must satisfy enum value set: [JSON, YAML]")),
        };
        Ok(json!({
            "Name": document.name,
            "CreatedDate": dates::epoch_seconds(*created),
            "DocumentVersion": VERSION,
            "Status": "Active",
            "Content": content,
            "DocumentType": "Command",
            "DocumentFormat": wanted,
        }))
    }

    /// `ListDocuments`, without filters: all that are there belong to this account.
    pub(crate) fn list(&self, request: &Value) -> Answer {
        let size = usize::try_from(number(request, "MaxResults", 1, 50, 10)?).unwrap_or(50);
        let all: Vec<Arc<Document>> = self.lock().values().cloned().collect();
        let (page, next) = page(all, size, optional(request, "NextToken"), |document| document.name.clone())?;
        let page: Vec<Value> = page.iter().map(|document| document.summary()).collect();
        let mut answer = json!({"DocumentIdentifiers": page});
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(answer)
    }

    fn save(&self, documents: &BTreeMap<String, Arc<Document>>) -> Result<(), ApiError> {
        let Some(file) = &self.file else { return Ok(()) };
        let stored: BTreeMap<&str, &Stored> =
            documents.iter().map(|(name, document)| (name.as_str(), &document.stored)).collect();
        serde_json::to_vec(&stored)
            .map_err(io::Error::from)
            .and_then(|content| files::replace_now(file, &content))
            .map_err(|error| ApiError::internal(Service::Ssm, format!("the documents could not be saved: {error}")))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Document>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Document {
    fn of(name: &str, stored: Stored) -> Result<Self, ApiError> {
        let content = Content::parse(content::value(&stored.content, &stored.format)?)?;
        Ok(Self { name: name.to_owned(), content, stored })
    }

    /// As `ListDocuments` writes it.
    fn summary(&self) -> Value {
        json!({
            "Name": self.name,
            "Owner": ACCOUNT,
            "CreatedDate": dates::epoch_seconds(self.stored.created),
            "DocumentVersion": VERSION,
            "DocumentType": "Command",
            "DocumentFormat": self.stored.format,
            "SchemaVersion": SCHEMA,
            "PlatformTypes": ["Linux", "MacOS"],
            "Tags": [],
        })
    }

    /// As `DescribeDocument` writes it.
    fn describe(&self) -> Value {
        let mut described = self.summary();
        described["Status"] = "Active".into();
        described["HashType"] = "Sha256".into();
        described["Hash"] = hex::encode(Sha256::digest(&self.stored.content)).into();
        described["LatestVersion"] = VERSION.into();
        described["DefaultVersion"] = VERSION.into();
        if let Some(description) = &self.content.description {
            described["Description"] = description.as_str().into();
        }
        let parameters = self.content.parameters.iter().map(|(name, parameter)| {
            let kind = if parameter.kind == Kind::String { "String" } else { "StringList" };
            let mut described = json!({"Name": name, "Type": kind});
            if let Some(description) = &parameter.description {
                described["Description"] = description.as_str().into();
            }
            if let Some(default) = &parameter.default {
                // A list as JSON, as AWS does.
                let text = match parameter.kind {
                    Kind::String => default.concat(),
                    Kind::StringList => Value::from(default.clone()).to_string(),
                };
                described["DefaultValue"] = text.into();
            }
            described
        });
        described["Parameters"] = parameters.collect();
        described
    }
}

/// Refuses names that Systems Manager refuses.
fn check_name(name: &str) -> Result<(), ApiError> {
    if name.len() < 3 || !common::ids::is_name(name, 128) {
        return Err(validation("Member must satisfy regular expression pattern: ^[a-zA-Z0-9_\\-.]{3,128}$"));
    }
    let lower = name.to_ascii_lowercase();
    match ["aws", "amazon", "amzn"].into_iter().find(|reserved| lower.starts_with(reserved)) {
        Some(reserved) => Err(validation(&format!("the prefix `{reserved}` is reserved for documents of AWS"))),
        None => Ok(()),
    }
}

fn no_such(name: &str) -> ApiError {
    ApiError::client("InvalidDocument", format!("Document with name {name} does not exist."))
}

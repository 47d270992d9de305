//! Who may call: the client's fixed credentials, and one temporary session for each function environment.
//!
//! From the access key of a call follows which function made it and in which invocation. A session outlives its
//! environment, as on AWS, so that a URL it has signed stays good until the session is ended.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{ids, lambda::process::Running, record::CLIENT};

/// The client's access key.
pub const CLIENT_ACCESS_KEY: &str = "test";
/// The client's secret key.
pub const CLIENT_SECRET_KEY: &str = "test";

/// Credentials and whose they are.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) access_key: String,
    pub(crate) secret: String,
    /// Temporary credentials carry one; the client's do not.
    pub(crate) token: Option<String>,
    /// The environment that has them; `None` is the client.
    pub(crate) running: Option<Arc<Running>>,
    ended: AtomicBool,
}

impl Session {
    /// Whose credentials they are: a function role, or [`CLIENT`].
    pub(crate) fn role(&self) -> &'static str {
        self.running.as_ref().map_or(CLIENT, |running| running.function)
    }

    /// Whether it has expired: all its calls and URLs are refused.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Makes it expire.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.running.as_ref().inspect(|running| running.expire());
    }
}

/// All sessions, by access key.
#[derive(Debug)]
pub(crate) struct Sessions(RwLock<HashMap<String, Arc<Session>>>);

impl Sessions {
    /// The registry with the client's credentials alone.
    pub(crate) fn new() -> Self {
        let client = Session {
            access_key: CLIENT_ACCESS_KEY.to_owned(),
            secret: CLIENT_SECRET_KEY.to_owned(),
            token: None,
            running: None,
            ended: AtomicBool::new(false),
        };
        Self(RwLock::new(HashMap::from([(client.access_key.clone(), Arc::new(client))])))
    }

    /// Credentials for an environment.
    pub(crate) fn open(&self, running: Arc<Running>) -> Arc<Session> {
        let session = Arc::new(Session {
            access_key: ids::access_key(),
            secret: ids::secret(),
            token: Some(format!("{}{}", ids::secret(), ids::secret())),
            running: Some(running),
            ended: AtomicBool::new(false),
        });
        let mut sessions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session.access_key.clone(), Arc::clone(&session));
        session
    }

    /// The session of an access key.
    pub(crate) fn get(&self, access_key: &str) -> Option<Arc<Session>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned()
    }

    /// Ends the sessions of one function, or of all; says how many were live.
    pub(crate) fn end(&self, function: Option<&str>) -> usize {
        let sessions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let concerned = sessions.values().filter(|session| {
            session.running.as_ref().is_some_and(|running| function.is_none_or(|name| name == running.function))
                && !session.is_ended()
        });
        concerned.map(|session| session.end()).count()
    }
}

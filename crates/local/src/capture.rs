//! What comes in, byte by byte: a file a connection. For tests that look for what must not leave the engine's processes.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::InspectReader;

/// Keeps what comes in, if it was given a folder.
#[derive(Debug)]
pub(crate) struct Capture {
    folder: Option<PathBuf>,
    connections: AtomicU64,
}

impl Capture {
    pub(crate) fn new(folder: Option<PathBuf>) -> io::Result<Self> {
        folder.as_ref().map_or(Ok(()), fs::create_dir_all)?;
        Ok(Self { folder, connections: AtomicU64::new(0) })
    }

    /// The connection, with whatever is read from it also written to `<folder>/<number>`.
    pub(crate) fn of<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> impl AsyncRead + AsyncWrite + Unpin + use<S> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut file = self.folder.as_ref().and_then(|folder| {
            File::create_new(folder.join(number.to_string())).inspect_err(|error| warn(number, error)).ok()
        });
        InspectReader::new(stream, move |bytes: &[u8]| {
            if let Some(Err(error)) = file.as_mut().map(|file| file.write_all(bytes)) {
                warn(number, &error);
            }
        })
    }
}

fn warn(number: u64, error: &io::Error) {
    tracing::error!(%error, number, "what comes in on a connection could not be kept");
}

//! What a deployment and an image bring along before any command runs: the worker in the internal bucket, under its
//! SHA-256, and on the instances that are not bare. Done when instances are first asked for, so that whoever uses none
//! does not pay for it.

use std::{fs, io, path::Path, sync::Arc};

use common::{keys, stack::Stack};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    errors::ApiError,
    files,
    s3::store::Store,
    service::Service,
    ssm::run_command::{RunCommand, instances::Instance},
};

impl RunCommand {
    /// Sees to it that the worker is where it belongs; the first call does it, and the others wait for that.
    pub(super) async fn provision(&self) -> Result<(), ApiError> {
        let work = || async {
            let (binary, store) = (self.binary.clone(), Arc::clone(&self.store));
            let instances: Vec<Arc<Instance>> = self.instances.all().cloned().collect();
            let done = tokio::task::spawn_blocking(move || provision(&binary, &store, &instances));
            done.await.map_err(io::Error::other)?
        };
        let done: Result<&(), io::Error> = self.provisioned.get_or_try_init(work).await;
        done.copied().map_err(|error| {
            ApiError::internal(Service::Ssm, format!("the instances could not be provided with the worker: {error}"))
        })
    }
}

fn provision(binary: &Path, store: &Store, instances: &[Arc<Instance>]) -> io::Result<()> {
    let named = |error| io::Error::other(format!("`{}`: {error}", binary.display()));
    let binary = binary.canonicalize().map_err(named)?;
    let mut hasher = Sha256::new();
    io::copy(&mut fs::File::open(&binary)?, &mut HashWriter(&mut hasher))?;
    let sha256 = hex::encode(hasher.finalize());
    let bucket = Stack::embedded().internal_bucket();
    store.put_file(&bucket, &keys::worker_binary(&sha256), &binary, &sha256)?;
    let binaries: Value = json!({std::env::consts::ARCH: sha256});
    store.put_bytes(&bucket, keys::WORKER_BINARIES, "application/json", binaries.to_string().into())?;
    for instance in instances {
        files::private_dir(&instance.directory)?;
        if !instance.bare {
            let cache = instance.directory.join("cache/aws-exe");
            files::private_dir(&cache)?;
            let worker = cache.join(&sha256);
            if !worker.exists() {
                files::share(&binary, &worker)?;
            }
        }
    }
    Ok(())
}

/// What is written goes into the hash.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

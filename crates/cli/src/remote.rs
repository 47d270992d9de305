//! An engine that is up somewhere, to be spoken to as any client does: its endpoint, clients, and the names of its stack.
//! What there is of it so far is an embedded AWS (`aws-exe local`).

use std::time::Duration;

use common::{aws::Aws, http::Http, objects::Objects, stack::Stack};

use crate::exit::Failure;

/// Region, and the credentials that the embedded AWS takes for a user's own.
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const CREDENTIAL: &str = "test";

/// Where `aws-exe local` serves when it is not told otherwise.
pub(crate) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4566";

/// It answers out of memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clients that speak to an embedded AWS as its user.
pub(crate) fn client(endpoint: &str) -> Aws {
    Aws::with_credentials(endpoint, REGION, CREDENTIAL, CREDENTIAL)
}

/// Clients and names of one stack.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) aws: Aws,
    pub(crate) stack: Stack,
    pub(crate) endpoint: String,
    internal_bucket: String,
}

impl Remote {
    /// Finds the embedded AWS at this endpoint. Asked directly and first: an SDK would try for a long time.
    pub(crate) async fn connect(endpoint: &str) -> Result<Self, Failure> {
        let endpoint = Some(endpoint.trim_end_matches('/')).filter(|url| !url.is_empty()).unwrap_or(DEFAULT_ENDPOINT);
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(Failure::input(format!("the endpoint `{endpoint}` must begin with `http://` or `https://`")));
        }
        let nobody = |problem: String| {
            Failure::machine(problem).hint("start one with `aws-exe local`, or name another with `--endpoint URL`")
        };
        let http = Http::new(PATIENCE).map_err(|error| Failure::machine(error.to_string()))?;
        match http.send("GET", &format!("{endpoint}/_embedded/ready"), &[], Vec::new()).await {
            Ok(answer) if answer.status == 200 => {}
            Ok(_) => return Err(nobody(format!("what answers at `{endpoint}` is no embedded AWS"))),
            Err(error) => {
                tracing::debug!(%error, endpoint, "no answer");
                return Err(nobody(format!("no embedded AWS answers at `{endpoint}`")));
            }
        }
        let stack = Stack::embedded();
        let internal_bucket = stack.internal_bucket();
        Ok(Self { aws: client(endpoint), stack, endpoint: endpoint.to_owned(), internal_bucket })
    }

    /// The internal bucket: results, cancellations, logs.
    pub(crate) fn objects(&self) -> Objects<'_> {
        Objects::new(&self.aws, &self.internal_bucket)
    }
}

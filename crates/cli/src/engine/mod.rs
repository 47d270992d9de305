//! The engine that a verb speaks to: an embedded AWS that is up, or a deployed stack. Both are the same to a verb: AWS
//! clients, the names of what is there, and the HTTP API that jobs are submitted to.
//!
//! Which one: `--stack FILE`, else `--local` or `--endpoint`, else a stack that the variables `AWS_EXE_SYS_…` describe,
//! else the embedded AWS at `AWS_ENDPOINT_URL` or where `aws-exe local` serves when it is not told otherwise.

mod api;
mod stack_file;

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use common::{aws::Aws, env::Environment, http::Http, objects::Objects, stack::Stack};

use crate::{args::EngineArgs, code::Code, failure::Failure};
pub(crate) use api::{Api, Entry, NoAnswer};
use stack_file::Described;

/// Region, and the credentials that the embedded AWS takes for a user's own.
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const CREDENTIAL: &str = "test";

/// Where `aws-exe local` serves when it is not told otherwise.
pub(crate) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4566";

/// It answers out of memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attempts of a call, as the AWS CLI makes them in its standard mode.
const ATTEMPTS: u32 = 3;

/// What a stack's resources are called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) orders_table: String,
    pub(crate) order_events_table: String,
    pub(crate) locks_table: String,
    pub(crate) internal_bucket: String,
    pub(crate) done_bucket: String,
}

impl Names {
    /// Those of the embedded AWS.
    fn embedded() -> Self {
        let stack = Stack::embedded();
        Self {
            orders_table: stack.orders_table(),
            order_events_table: stack.order_events_table(),
            locks_table: stack.locks_table(),
            internal_bucket: stack.internal_bucket(),
            done_bucket: stack.done_bucket(),
        }
    }
}

/// What kind of engine it is. They cost differently: calls to the embedded AWS are free and quick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On this machine.
    Embedded,
    /// In an account.
    Deployed,
}

/// An engine that is up.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) aws: Aws,
    pub(crate) names: Names,
    pub(crate) api: Api,
    pub(crate) kind: Kind,
    /// Where it is, for messages: an endpoint, or the URL of its API.
    pub(crate) shown: String,
}

impl Engine {
    /// The engine that these arguments and this environment name.
    pub(crate) async fn connect(args: &EngineArgs, environment: &Environment) -> Result<Self, Failure> {
        if let Some(file) = &args.stack {
            return Self::deployed(stack_file::read(file)?, environment).await;
        }
        let is_open = !args.local && args.endpoint.is_none();
        if let Some(described) = stack_file::from_variables(environment).filter(|_| is_open) {
            return Self::deployed(described?, environment).await;
        }
        let endpoint = args.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.or_else(|| environment.get(ENDPOINT_URL)).unwrap_or(DEFAULT_ENDPOINT);
        let endpoint = endpoint.trim_end_matches('/');
        find_embedded(endpoint).await?;
        Ok(Self::embedded(endpoint))
    }

    /// The embedded AWS that serves here.
    pub(crate) fn embedded(endpoint: &str) -> Self {
        let aws = Aws::with_credentials(endpoint, REGION, CREDENTIAL, CREDENTIAL);
        Self {
            api: Api::new(endpoint, REGION, aws.config().credentials_provider()),
            aws,
            names: Names::embedded(),
            kind: Kind::Embedded,
            shown: endpoint.to_owned(),
        }
    }

    /// A stack in an account, with the credentials that every AWS tool finds.
    async fn deployed(described: Described, environment: &Environment) -> Result<Self, Failure> {
        let Described { names, api_url, region } = described;
        let api_url = api_url.trim_end_matches('/').to_owned();
        if !is_url(&api_url) {
            return Err(Failure::new(
                Code::EndpointWrong,
                format!("the URL of the stack's API `{api_url}` must begin with `http://` or `https://`"),
            ));
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(PATIENCE).build());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        let config = loader.load().await;
        let Some(region) = config.region().map(|region| region.as_ref().to_owned()) else {
            return Err(Failure::new(Code::StackIncomplete, "no region is known for the stack")
                .hint("set `AWS_REGION`, or name the stack with `--stack FILE`, whose outputs have its region"));
        };
        let kind = match environment.get(ENDPOINT_URL) {
            Some(endpoint) if endpoint.contains("127.0.0.1") || endpoint.contains("localhost") => Kind::Embedded,
            _ => Kind::Deployed,
        };
        let api = Api::new(&api_url, &region, config.credentials_provider());
        Ok(Self { api, aws: Aws::of(config), names, kind, shown: api_url })
    }

    /// The internal bucket: results, cancellations, logs.
    pub(crate) fn objects(&self) -> Objects<'_> {
        Objects::new(&self.aws, &self.names.internal_bucket)
    }

    /// The bucket of `done` objects.
    pub(crate) fn done_objects(&self) -> Objects<'_> {
        Objects::new(&self.aws, &self.names.done_bucket)
    }
}

/// The variable by which every AWS SDK is pointed at another endpoint.
pub(crate) const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// Whether an embedded AWS answers there. Asked directly and first: an SDK would try for a long time.
async fn find_embedded(endpoint: &str) -> Result<(), Failure> {
    if !is_url(endpoint) {
        return Err(Failure::new(
            Code::EndpointWrong,
            format!("the endpoint `{endpoint}` must begin with `http://` or `https://`"),
        ));
    }
    let nobody = |problem: String| {
        Failure::new(Code::NoEngine, problem).hint(
            "start one with `aws-exe local`, or name another with `--endpoint URL`, or a deployed stack with `--stack FILE`",
        )
    };
    let http = Http::new(PATIENCE).map_err(|error| Failure::new(Code::MachineFailed, error.to_string()))?;
    match http.send("GET", &format!("{endpoint}/_embedded/ready"), &[], Vec::new()).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(_) => Err(nobody(format!("what answers at `{endpoint}` is no embedded AWS"))),
        Err(error) => {
            tracing::debug!(%error, endpoint, "no answer");
            Err(nobody(format!("no embedded AWS answers at `{endpoint}`")))
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

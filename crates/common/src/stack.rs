//! What the resources of one deployment are called, from its prefix. Terraform and the embedded AWS use the same names.

/// The function roles of the binary, in the order in which a run meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Function {
    /// `POST /init`.
    InitJob,
    /// `POST /ssm`.
    SsmConfig,
    /// Invoked by every result.
    Orchestrator,
    /// Task of the watchdog's state machine.
    WatchdogCheck,
    /// Runs orders.
    Worker,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 5] = [Self::InitJob, Self::SsmConfig, Self::Orchestrator, Self::WatchdogCheck, Self::Worker];

    /// The role's name as `aws-exe function NAME` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InitJob => "init_job",
            Self::SsmConfig => "ssm_config",
            Self::Orchestrator => "orchestrator",
            Self::WatchdogCheck => "watchdog_check",
            Self::Worker => "worker",
        }
    }

    /// The role that has this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    /// How long one invocation may take, in seconds.
    ///
    /// The orchestrator's is shorter than its lease (60 s), so that a holder never outlives it; the worker's is
    /// Lambda's maximum of 900 s; a submission may pack a large repository.
    pub const fn timeout_secs(self) -> u64 {
        match self {
            Self::InitJob | Self::SsmConfig => 300,
            Self::Orchestrator => 50,
            Self::WatchdogCheck => 60,
            Self::Worker => 900,
        }
    }
}

/// Names of everything in one deployment.
#[derive(Clone, Debug)]
pub struct Stack {
    prefix: String,
    /// Follows the bucket names of a deployed stack (`-<account>-<region>`); empty in the embedded AWS.
    bucket_suffix: String,
}

impl Stack {
    /// The prefix used when none is chosen. Parameter Store refuses names that begin with `aws` or `ssm`.
    pub const DEFAULT_PREFIX: &str = "exe-sys";

    /// The stack of the embedded AWS.
    pub fn embedded() -> Self {
        Self { prefix: Self::DEFAULT_PREFIX.to_owned(), bucket_suffix: String::new() }
    }

    /// Table of rows, one an order.
    pub fn orders_table(&self) -> String {
        format!("{}-orders", self.prefix)
    }

    /// Table of events.
    pub fn order_events_table(&self) -> String {
        format!("{}-order-events", self.prefix)
    }

    /// Table of run items.
    pub fn locks_table(&self) -> String {
        format!("{}-locks", self.prefix)
    }

    /// Bucket of bundles, results, claims and logs.
    pub fn internal_bucket(&self) -> String {
        format!("{}-internal{}", self.prefix, self.bucket_suffix)
    }

    /// Bucket of `done` objects.
    pub fn done_bucket(&self) -> String {
        format!("{}-done{}", self.prefix, self.bucket_suffix)
    }

    /// A function as Lambda knows it.
    pub fn function(&self, function: Function) -> String {
        format!("{}-{}", self.prefix, function.name().replace('_', "-"))
    }

    /// The watchdog's state machine.
    pub fn state_machine(&self) -> String {
        format!("{}-watchdog", self.prefix)
    }

    /// The CodeBuild project.
    pub fn codebuild_project(&self) -> String {
        format!("{}-worker", self.prefix)
    }

    /// The SSM document.
    pub fn ssm_document(&self) -> String {
        format!("{}-run-commands", self.prefix)
    }
}

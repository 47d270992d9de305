//! Starting an order's target: one file each. What is sent is the same on every repeat, and the worker's claim makes a
//! repeat harmless.

mod codebuild;
mod lambda;
mod resolve;
mod ssm;

use common::{aws::AwsError, ids::OrderNum, plan::PlannedOrder, target::Target};

use crate::pass::Pass;

/// The order whose target is started.
#[derive(Clone, Copy)]
struct Starting<'a> {
    order: OrderNum,
    planned: &'a PlannedOrder,
}

impl Pass<'_> {
    /// Hands the order to its target; gives where a person sees it run.
    pub(crate) async fn start_target(&self, order: OrderNum) -> Result<String, AwsError> {
        let planned = self.planned(order).map_err(|error| AwsError::refused("start the target", error.to_string()))?;
        let starting = Starting { order, planned };
        match planned.target {
            Target::Lambda => self.start_lambda(starting).await,
            Target::Codebuild => self.start_build(starting).await,
            Target::Ssm => Box::pin(self.start_commands(starting)).await,
        }
    }

    /// Where a person sees an order run of whose dispatch nothing else is known.
    pub(crate) fn execution_url(&self, target: Target) -> String {
        let region = self.region();
        let console = format!("https://{region}.console.aws.amazon.com");
        match target {
            Target::Lambda => self.lambda_url(),
            Target::Codebuild => {
                format!(
                    "{console}/codesuite/codebuild/projects/{}/history?region={region}",
                    self.settings.codebuild_project
                )
            }
            Target::Ssm => format!("{console}/systems-manager/run-command/complete-commands?region={region}"),
        }
    }

    fn region(&self) -> &str {
        self.aws.config().region().map_or("us-east-1", |region| region.as_ref())
    }
}

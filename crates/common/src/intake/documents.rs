//! The SSM documents that a job names: they must be there before anything of the run is.

use std::collections::BTreeMap;

use super::{answer::NotAccepted, shape::Problems};
use crate::{
    aws::{Aws, AwsError, Class},
    order::Job,
};

/// Looks for every document that an order names. The deployment's own is not looked for.
pub(crate) async fn check_documents(aws: &Aws, job: &Job) -> Result<(), NotAccepted> {
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, order) in job.orders.iter().enumerate() {
        if let Some(name) = order.ssm.as_ref().and_then(|ssm| ssm.document.as_deref()) {
            named.entry(name).or_default().push(index);
        }
    }
    let mut problems = Problems::default();
    for (name, orders) in named {
        let Err(error) = aws.ssm().describe_document().name(name).send().await else { continue };
        let error = AwsError::of(format!("look for the SSM document `{name}`"), error);
        if error.class != Class::Refused {
            return Err(error.into());
        }
        for index in orders {
            let path = format!("orders[{index}].ssm_document_name");
            if error.is("InvalidDocument") {
                problems.add(&path, format_args!("there is no SSM document `{name}`"));
            } else {
                problems.add(&path, &error);
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(NotAccepted::Invalid(problems.into_vec())) }
}

//! From what an SSM order says about its instances to the instances: each of them known to Systems Manager and online, or
//! an error that says which is not.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{InstanceInformationStringFilter, PingStatus};
use common::{
    aws::{Aws, AwsError},
    fleet::MAX_INSTANCES,
    ids::InstanceId,
    intake::validate::ssm::BATCH,
    order::SsmTargets,
};

const ACTION: &str = "find its instances";
/// Instances that an error names.
const NAMED: usize = 5;

/// The instances that Systems Manager knows, with whether they are online.
type Found = BTreeMap<String, PingStatus>;

/// Finds the instances.
pub(super) async fn resolve(aws: &Aws, targets: &SsmTargets) -> Result<Vec<InstanceId>, AwsError> {
    let mut found = Found::new();
    match targets {
        SsmTargets::InstanceIds(ids) => {
            for batch in ids.chunks(BATCH) {
                let values = batch.iter().map(|id| id.as_str().to_owned()).collect();
                find(aws, [("InstanceIds".to_owned(), values)], &mut found).await?;
            }
            let unknown = ids.iter().filter(|id| !found.contains_key(id.as_str())).map(InstanceId::as_str);
            refuse(unknown, "not known to Systems Manager")?;
        }
        SsmTargets::Tags(tags) => {
            find(aws, tags.iter().map(|(key, values)| (format!("tag:{key}"), values.clone())), &mut found).await?;
            if found.is_empty() {
                let tags: Vec<_> =
                    tags.iter().map(|(key, values)| format!("`{key}` = `{}`", values.join("`, `"))).collect();
                return Err(AwsError::refused(ACTION, format!("no instance has the tag {}", tags.join(" and "))));
            }
        }
    }
    if found.len() > MAX_INSTANCES {
        let count = found.len();
        return Err(AwsError::refused(
            ACTION,
            format!("there are {count}, and an order takes at most {MAX_INSTANCES}"),
        ));
    }
    let offline = found.iter().filter(|(_, status)| **status != PingStatus::Online).map(|(id, _)| id.as_str());
    refuse(offline, "not online")?;
    let parse = |id: &String| id.parse().map_err(|error| AwsError::refused(ACTION, format!("`{id}` {error}")));
    found.keys().map(parse).collect()
}

async fn find(
    aws: &Aws,
    filters: impl IntoIterator<Item = (String, Vec<String>)>,
    found: &mut Found,
) -> Result<(), AwsError> {
    let mut request = aws.ssm().describe_instance_information().max_results(i32::try_from(BATCH).unwrap_or(i32::MAX));
    for (key, values) in filters {
        let filter = InstanceInformationStringFilter::builder().key(key).set_values(Some(values)).build();
        request = request.filters(filter.map_err(|error| AwsError::refused(ACTION, error.to_string()))?);
    }
    let mut pages = request.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| AwsError::of(ACTION, error))?;
        for instance in page.instance_information_list.unwrap_or_default() {
            let status = instance.ping_status.unwrap_or(PingStatus::ConnectionLost);
            found.extend(instance.instance_id.map(|id| (id, status)));
        }
    }
    Ok(())
}

fn refuse<'a>(ids: impl Iterator<Item = &'a str>, what: &str) -> Result<(), AwsError> {
    let ids: Vec<_> = ids.collect();
    if ids.is_empty() {
        return Ok(());
    }
    let named = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    let more = ids.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let verb = if ids.len() == 1 { "is" } else { "are" };
    Err(AwsError::refused(ACTION, format!("{named}{more} {verb} {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_and_counted() {
        assert!(refuse([].into_iter(), "x").is_ok());
        let error = refuse(["i-1"].into_iter(), "not online").unwrap_err().to_string();
        assert_eq!(error, "failed to find its instances: `i-1` is not online");
        let error = refuse(["1", "2", "3", "4", "5", "6", "7"].into_iter(), "not online").unwrap_err().to_string();
        assert!(error.ends_with("`1`, `2`, `3`, `4`, `5` and 2 more are not online"), "{error}");
    }
}

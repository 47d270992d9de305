//! The rules of SSM orders: which instances, how many at once, by which document. Whether the instances are there and online
//! shows when the order is dispatched, because hours may lie between; whether the document is there shows at submission.

use std::collections::{BTreeMap, BTreeSet};

use super::Validator;
use crate::{
    fleet::MAX_INSTANCES,
    ids::InstanceId,
    intake::shape::Path,
    job::{self, OrderDocument, TagValues},
    order::{SsmOrder, SsmTargets},
    text::{is_hidden, shown},
};

/// Instance ids that one `SendCommand` takes; concurrency and errors are counted within one command.
pub const BATCH: usize = 50;
/// Tags that one `SendCommand` takes, and values of each.
const MAX_TAGS: usize = 5;
const MAX_TAG_VALUES: usize = 50;

impl Validator<'_> {
    pub(super) fn ssm(&mut self, at: &Path<'_>, order: &OrderDocument<'_>) -> SsmOrder {
        let document = order.ssm_document_name.clone();
        if let Some(name) = &document {
            self.note(at.field("ssm_document_name"), check_document(name));
        }
        let at = &at.field("ssm_targets");
        let nowhere = SsmTargets::InstanceIds(Vec::new());
        let Some(given) = &order.ssm_targets else {
            self.problems.add(at, "is missing: an `ssm` order names its instances by id or by tag");
            return SsmOrder { targets: nowhere, max_concurrency: None, max_errors: None, document };
        };
        let targets = match (&given.instance_ids, &given.tags) {
            (Some(ids), None) => self.instance_ids(&at.field("instance_ids"), ids),
            (None, Some(tags)) => self.tags(&at.field("tags"), tags),
            (Some(_), Some(_)) => {
                self.problems.add(at, "names instances by `instance_ids` and by `tags`; use one of them");
                nowhere
            }
            (None, None) => {
                self.problems.add(at, "names no instance; use `instance_ids` or `tags`");
                nowhere
            }
        };
        self.limits(at, given, &targets);
        SsmOrder {
            targets,
            max_concurrency: given.max_concurrency.clone(),
            max_errors: given.max_errors.clone(),
            document,
        }
    }

    fn instance_ids(&mut self, at: &Path<'_>, ids: &[String]) -> SsmTargets {
        let mut sound = Vec::with_capacity(ids.len());
        let mut seen = BTreeSet::new();
        if ids.is_empty() {
            self.problems.add(at, "names no instance");
        }
        if ids.len() > MAX_INSTANCES {
            self.problems.add(at, format_args!("must name at most {MAX_INSTANCES} instances, not {}", ids.len()));
        }
        for (position, id) in ids.iter().enumerate().take(MAX_INSTANCES) {
            match id.parse::<InstanceId>() {
                Err(error) => {
                    self.problems.add(at.item(position), format_args!("`{}` {error}", shown(id)));
                }
                Ok(id) if !seen.insert(id.clone()) => {
                    self.problems.add(at.item(position), format_args!("names `{id}` a second time"));
                }
                Ok(id) => sound.push(id),
            }
        }
        SsmTargets::InstanceIds(sound)
    }

    fn tags(&mut self, at: &Path<'_>, tags: &BTreeMap<String, TagValues>) -> SsmTargets {
        if tags.is_empty() {
            self.problems.add(at, "names no tag");
        }
        if tags.len() > MAX_TAGS {
            self.problems.add(at, format_args!("must name at most {MAX_TAGS} tags, not {}", tags.len()));
        }
        let mut sound = BTreeMap::new();
        for (key, values) in tags {
            let at = at.field(key);
            let values = match values {
                TagValues::One(value) => std::slice::from_ref(value),
                TagValues::Any(values) => values,
            };
            // EC2's limits of a tag: 128 characters of its key, 256 of its value.
            if key.is_empty() || key.chars().count() > 128 || key.chars().any(is_hidden) {
                self.problems.add(at, "must have 1 to 128 characters, none of them hidden");
            }
            if !(1..=MAX_TAG_VALUES).contains(&values.len()) {
                let count = values.len();
                self.problems.add(at, format_args!("must have 1 to {MAX_TAG_VALUES} values, not {count}"));
            }
            if values.iter().any(|value| value.chars().count() > 256 || value.chars().any(is_hidden)) {
                self.problems.add(at, "must have values of at most 256 characters, none of them hidden");
            }
            sound.insert(key.clone(), values.to_vec());
        }
        SsmTargets::Tags(sound)
    }

    fn limits(&mut self, at: &Path<'_>, given: &job::SsmTargets, targets: &SsmTargets) {
        let is_one_command = match targets {
            SsmTargets::InstanceIds(ids) => ids.len() <= BATCH,
            SsmTargets::Tags(tags) => tags.len() <= 1,
        };
        for (field, value, least) in
            [("max_concurrency", &given.max_concurrency, 1), ("max_errors", &given.max_errors, 0)]
        {
            let Some(value) = value else { continue };
            let at = at.field(field);
            if !is_limit(value, least) {
                self.problems.add(
                    at,
                    format_args!("must be a number from {least} or a percentage up to `100%`, not `{}`", shown(value)),
                );
            }
            if !is_one_command {
                self.problems.add(
                    at,
                    format_args!(
                        "counts within one command and works with at most {BATCH} instance ids or a single tag; use several orders"
                    ),
                );
            }
        }
    }
}

/// A number of up to seven digits or a percentage, as `SendCommand` takes it.
fn is_limit(text: &str, least: u32) -> bool {
    let (digits, most) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100),
        None => (text, 9_999_999),
    };
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    is_plain && digits.parse::<u32>().is_ok_and(|number| (least..=most).contains(&number))
}

/// A document's name or ARN, as `SendCommand` takes it.
fn check_document(name: &str) -> Result<(), String> {
    let is_sound = (3..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/'));
    if is_sound { Ok(()) } else { Err("must have 3 to 128 characters of `A-Z a-z 0-9 _ - . : /`".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_percentages() {
        for good in ["1", "50", "9999999", "1%", "100%"] {
            assert!(is_limit(good, 1) && is_limit(good, 0), "{good}");
        }
        assert!(is_limit("0", 0) && is_limit("0%", 0) && !is_limit("0", 1));
        for bad in ["", "%", "01", "101%", "10000000", "-1", "1.5", "٣", "1 "] {
            assert!(!is_limit(bad, 0), "{bad}");
        }
    }
}

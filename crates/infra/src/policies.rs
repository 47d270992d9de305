//! The policies of the roles: who may do what, as IAM decides it.

use std::collections::{BTreeMap, BTreeSet};

use hcl::{Body, Value};

use crate::module::{Module, attribute, name};

/// What the `sid` of a statement begins with whose calls cannot be recorded: a service makes them itself, or the embedded
/// AWS has no such service.
pub const UNRECORDED: &str = "Unrecorded";

/// A statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Its purpose.
    pub sid: String,
    /// Whether it refuses.
    pub denies: bool,
    /// Such as `s3:GetObject`.
    pub actions: Vec<String>,
    /// Patterns of ARNs.
    pub resources: Vec<String>,
    /// The keys that its conditions look at.
    pub conditions: Vec<String>,
}

/// The statements of each role, by the name of the role's resource.
pub type Roles = BTreeMap<String, BTreeSet<Statement>>;

impl Statement {
    /// Whether it is about this call, whatever its conditions are.
    pub fn covers(&self, action: &str, resource: &str) -> bool {
        self.actions.iter().any(|pattern| matches(pattern, action))
            && self.resources.iter().any(|pattern| matches(pattern, resource))
    }

    /// Whether calls of it can be recorded.
    pub fn is_recorded(&self) -> bool {
        !self.sid.starts_with(UNRECORDED)
    }
}

/// Whether a role may do this: a statement allows it, and none refuses.
pub fn allows(statements: &BTreeSet<Statement>, action: &str, resource: &str) -> bool {
    let covers = |denies: bool| {
        statements.iter().any(|statement| statement.denies == denies && statement.covers(action, resource))
    };
    covers(false) && !covers(true)
}

/// The roles of a module, with everything that is attached to them.
///
/// # Panics
/// If a policy says what is not understood here.
pub fn roles(module: &Module) -> Roles {
    let mut roles: Roles =
        module.blocks("resource", "aws_iam_role").map(|block| (name(block).to_owned(), BTreeSet::new())).collect();
    for attached in module.blocks("resource", "aws_iam_role_policy") {
        let part = |key: &str, each: Option<&(String, Value)>| {
            let expression =
                attribute(attached.body(), key).unwrap_or_else(|| panic!("`{}` has no `{key}`", name(attached)));
            module.value(expression, each).as_str().expect("a text").to_owned()
        };
        for each in module.instances(attached) {
            let statements = document(module, &part("policy", each.as_ref()));
            let role = part("role", each.as_ref());
            roles.get_mut(&role).unwrap_or_else(|| panic!("there is no role `{role}`")).extend(statements);
        }
    }
    roles
}

/// The statements of a document, with those that it takes from others.
///
/// # Panics
/// If there is none of that name, or it says what is not understood here.
pub fn document(module: &Module, wanted: &str) -> Vec<Statement> {
    let block = module.blocks("data", "aws_iam_policy_document").find(|block| name(block) == wanted);
    let body = block.unwrap_or_else(|| panic!("there is no document `{wanted}`")).body();
    let sources = attribute(body, "source_policy_documents").map(|sources| module.value(sources, None));
    let sources = sources.as_ref().and_then(Value::as_array).into_iter().flatten();
    let mut statements: Vec<Statement> =
        sources.flat_map(|source| document(module, source.as_str().expect("a document"))).collect();
    let own = body.blocks().filter(|block| block.identifier() == "statement");
    statements.extend(own.map(|block| statement(module, block.body())));
    statements
}

fn statement(module: &Module, body: &Body) -> Statement {
    let text = |body: &Body, key: &str| Some(module.value(attribute(body, key)?, None).as_str()?.to_owned());
    let texts = |key: &str| -> Vec<String> {
        let value = attribute(body, key).map(|list| module.value(list, None));
        let list = value.as_ref().and_then(Value::as_array).into_iter().flatten();
        list.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let sid = text(body, "sid").expect("a statement has a `sid`, which says its purpose");
    for key in ["not_actions", "not_resources"] {
        assert!(attribute(body, key).is_none(), "`{sid}` has `{key}`, which is not understood here");
    }
    let conditions = body.blocks().filter(|block| block.identifier() == "condition");
    Statement {
        denies: text(body, "effect").as_deref() == Some("Deny"),
        actions: texts("actions"),
        resources: texts("resources"),
        conditions: conditions.filter_map(|block| text(block.body(), "variable")).collect(),
        sid,
    }
}

/// IAM's patterns: `*` stands for any text, `?` for one character.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once(['*', '?']) {
        None => pattern == text,
        Some((before, after)) => {
            let Some(rest) = text.strip_prefix(before) else { return false };
            if pattern[before.len()..].starts_with('*') {
                (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
            } else {
                let mut characters = rest.chars();
                characters.next().is_some() && matches(after, characters.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_iams() {
        for (pattern, text, does) in [
            ("s3:GetObject", "s3:GetObject", true),
            ("s3:GetObject", "s3:GetObjectAcl", false),
            ("arn:b/tmp/*/exec.zip", "arn:b/tmp/r/0001/exec.zip", true),
            ("arn:b/tmp/*/exec.zip", "arn:b/tmp/exec.zip", false),
            ("arn:b/tmp/*.json", "arn:b/tmp/.json", true),
            ("secret:a-??????", "secret:a-Xy12z3", true),
            ("secret:a-??????", "secret:a-b-Xy12z3", false),
            ("*", "", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXc", false),
        ] {
            assert_eq!(matches(pattern, text), does, "{pattern} {text}");
        }
    }

    #[test]
    fn a_refusal_counts_more_than_any_permission() {
        let statement = |denies, resource: &str| Statement {
            sid: resource.to_owned(),
            denies,
            actions: vec!["s3:GetObject".to_owned()],
            resources: vec![resource.to_owned()],
            conditions: Vec::new(),
        };
        let both = BTreeSet::from([statement(false, "b/*"), statement(true, "b/tmp/*")]);
        assert!(allows(&both, "s3:GetObject", "b/jobs/x"));
        assert!(!allows(&both, "s3:GetObject", "b/tmp/x"));
        assert!(!allows(&both, "s3:PutObject", "b/jobs/x"));
    }
}

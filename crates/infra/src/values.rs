//! What names stand for: variables, local values, the functions of the language, and of resources their ids.

use std::collections::BTreeMap;

use hcl::{
    Block, Expression, Map, Value,
    eval::{Context, Evaluate as _, FuncArgs, FuncDef, ParamType},
    expr::ObjectKey,
};

use crate::module::{Choices, attribute, name};

/// The account of an evaluation: AWS's example.
pub(crate) const ACCOUNT: &str = "123456789012";

/// What is known of a module before its resources.
#[derive(Debug)]
pub(crate) struct Scope {
    variables: Value,
    pub(crate) locals: Value,
    /// By type and name: `id` is the name, `arn` the type and the name.
    resources: BTreeMap<String, Value>,
}

/// Evaluates variables, then locals, as far as they can be: those that need a provider are left out.
pub(crate) fn scope(blocks: &[Block], choices: &Choices) -> Scope {
    let of_kind = |kind: &'static str| blocks.iter().filter(move |block| block.identifier() == kind);
    let variables = of_kind("variable").map(|block| (name(block).to_owned(), variable(block, choices))).collect();
    let mut scope =
        Scope { variables: Value::Object(variables), locals: Value::Object(Map::new()), resources: BTreeMap::new() };
    for block in of_kind("resource") {
        let kind = block.labels()[0].as_str().to_owned();
        let known = [("id", name(block).to_owned()), ("arn", format!("{kind}.{}", name(block)))];
        let known: Map<String, Value> = known.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect();
        let of_type = scope.resources.entry(kind).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(of_type) = of_type {
            of_type.insert(name(block).to_owned(), Value::Object(known));
        }
    }
    let mut open: Vec<(&str, &Expression)> = of_kind("locals")
        .flat_map(|block| block.body().attributes())
        .map(|attribute| (attribute.key(), attribute.expr()))
        .collect();
    // They may name each other in any order: again and again, until no further one can be told.
    loop {
        let context = context(&scope);
        let (known, rest): (Vec<_>, Vec<_>) = open
            .iter()
            .map(|(key, expression)| ((*key, *expression), expression.evaluate(&context)))
            .partition(|(_, value)| value.is_ok());
        open = rest.into_iter().map(|(local, _)| local).collect();
        if known.is_empty() {
            return scope;
        }
        if let Value::Object(locals) = &mut scope.locals {
            locals.extend(known.into_iter().filter_map(|((key, _), value)| Some((key.to_owned(), value.ok()?))));
        }
    }
}

/// A context in which everything that is known has its name.
pub(crate) fn context(scope: &Scope) -> Context<'static> {
    let mut context = Context::new();
    for (name, function) in FUNCTIONS {
        context.declare_func(*name, FuncDef::builder().variadic_param(ParamType::Any).build(*function));
    }
    context.declare_var("var", scope.variables.clone());
    context.declare_var("local", scope.locals.clone());
    for (kind, named) in &scope.resources {
        context.declare_var(kind.as_str(), named.clone());
    }
    context.declare_var("data", Value::Object(surroundings()));
    context
}

/// What every module can ask its surroundings for.
pub(crate) fn surroundings() -> Map<String, Value> {
    let current = |field: &str, value: &str| {
        let fields: Map<String, Value> = [(field.to_owned(), value.into())].into();
        Value::Object([("current".to_owned(), Value::Object(fields))].into())
    };
    let all = [("aws_partition", "partition", "aws"), ("aws_caller_identity", "account_id", ACCOUNT)];
    all.into_iter().map(|(kind, field, value)| (kind.to_owned(), current(field, value))).collect()
}

/// What a variable is: what was chosen, or its default; of an object each field by itself.
fn variable(block: &Block, choices: &Choices) -> Value {
    let chosen = choices.get(name(block)).map(|value| Value::from_json(value.clone()));
    let default = || {
        let default = attribute(block.body(), "default")?;
        Some(default.evaluate(&Context::new()).unwrap_or_else(|error| panic!("`{}`: {error}", name(block))))
    };
    let value = chosen.or_else(default).unwrap_or_else(|| panic!("`{}` needs a value", name(block)));
    match (attribute(block.body(), "type"), value) {
        (Some(Expression::FuncCall(kind)), Value::Object(mut fields)) => {
            for (field, default) in kind.args.first().map(optional_fields).unwrap_or_default() {
                fields.entry(field).or_insert(default);
            }
            Value::Object(fields)
        }
        (_, value) => value,
    }
}

/// The defaults in `object({field = optional(type, default)})`.
fn optional_fields(fields: &Expression) -> Vec<(String, Value)> {
    let Expression::Object(fields) = fields else { return Vec::new() };
    let default = |(key, kind): (&ObjectKey, &Expression)| {
        let Expression::FuncCall(call) = kind else { return None };
        let default = call.args.get(1).filter(|_| call.name.name.as_str() == "optional")?;
        Some((key.to_string(), default.evaluate(&Context::new()).ok()?))
    };
    fields.iter().filter_map(default).collect()
}

trait FromJson {
    fn from_json(value: serde_json::Value) -> Self;
}

impl FromJson for Value {
    fn from_json(value: serde_json::Value) -> Self {
        hcl::value::to_value(value).expect("JSON is a value of HCL")
    }
}

type Function = fn(FuncArgs) -> Result<Value, String>;

/// As much of each function as these files need.
const FUNCTIONS: &[(&str, Function)] = &[
    ("coalesce", |args| args.iter().find(|value| !value.is_null()).cloned().ok_or_else(|| "all are null".to_owned())),
    ("concat", |args| args.iter().map(list).collect::<Result<Vec<_>, _>>().map(|lists| lists.concat().into())),
    ("endswith", |args| Ok(text(&args[0])?.ends_with(text(&args[1])?).into())),
    ("join", |args| {
        let parts = list(&args[1])?;
        let parts = parts.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        Ok(parts.join(text(&args[0])?).into())
    }),
    ("length", |args| match &args[0] {
        Value::Object(object) => Ok(object.len().into()),
        other => Ok(list(other)?.len().into()),
    }),
    ("merge", |args| {
        let mut all = Map::new();
        for object in args.iter() {
            all.extend(object.as_object().ok_or_else(|| format!("`{object}` is no object"))?.clone());
        }
        Ok(Value::Object(all))
    }),
    ("one", |args| match list(&args[0])?.as_slice() {
        [] => Ok(Value::Null),
        [only] => Ok(only.clone()),
        more => Err(format!("{} and not one", more.len())),
    }),
    ("regex", |args| {
        let pattern = regex_lite::Regex::new(text(&args[0])?).map_err(|error| error.to_string())?;
        let found = pattern.captures(text(&args[1])?).ok_or("nothing matches")?;
        let groups = found.iter().skip(1).map(|group| Value::from(group.map_or("", |group| group.as_str())));
        Ok(Value::Array(groups.collect()))
    }),
    ("reverse", |args| list(&args[0]).map(|list| list.into_iter().rev().collect::<Vec<_>>().into())),
    ("split", |args| Ok(text(&args[1])?.split(text(&args[0])?).collect::<Vec<_>>().into())),
    ("tostring", |args| match &args[0] {
        Value::String(text) => Ok(text.as_str().into()),
        other => Ok(other.to_string().into()),
    }),
];

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("`{value}` is no text"))
}

fn list(value: &Value) -> Result<Vec<Value>, String> {
    value.as_array().cloned().ok_or_else(|| format!("`{value}` is no list"))
}

//! A JSON Schema made into a [`Shape`]: the part of JSON Schema that our types produce and no more. Anything else is
//! refused here, so that no rule of a schema is silently not held.

use serde_json::{Map, Value};

use super::{Kind, List, Object, Shape, Sizes};

/// What a schema consists of here: its rules; and what is for its readers and editors alone, of which `pattern` and
/// `propertyNames` are rules that [`crate::intake::validate`] has in words.
const KEYWORDS: [&str; 26] = [
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "examples",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "propertyNames",
    "required",
    "title",
    "type",
];

/// A part of a schema that has no shape.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the schema: {0} is not known")]
pub struct Unknown(String);

impl Shape {
    /// The shape that a schema describes, or the one that a definition in it does. Definitions stand wherever they are
    /// referred to, so none may contain itself.
    pub fn of(schema: &Value, definition: Option<&str>) -> Result<Self, Unknown> {
        let definitions = &schema["$defs"];
        compile(definition.map_or(schema, |name| &definitions[name]), definitions)
    }
}

fn compile(schema: &Value, definitions: &Value) -> Result<Shape, Unknown> {
    let keywords = schema.as_object().ok_or_else(|| unknown("the schema", schema))?;
    if let Some(keyword) = keywords.keys().find(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        return Err(Unknown(format!("the keyword `{keyword}`")));
    }
    if let Some(reference) = keywords.get("$ref") {
        let name = reference.as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
        let definition =
            name.and_then(|name| definitions.get(name)).ok_or_else(|| unknown("the reference", reference))?;
        return compile(definition, definitions);
    }
    if let Some(alternatives) = schema["anyOf"].as_array() {
        return any_of(alternatives, definitions);
    }
    if let Some(words) = words(schema) {
        return Ok(Shape { is_optional: false, kind: Kind::Word(words) });
    }
    let types = texts(&schema["type"]);
    let solid: Vec<&str> = types.iter().map(String::as_str).filter(|name| *name != "null").collect();
    let kind = match solid[..] {
        ["boolean"] => Kind::Boolean,
        ["integer"] => Kind::Whole {
            least: bound(schema, "minimum")?.ok_or_else(|| unknown("a number without a", "minimum"))?,
            most: bound(schema, "maximum")?,
        },
        ["string"] => Kind::Text(Sizes { least: bound(schema, "minLength")?, most: bound(schema, "maxLength")? }),
        ["array"] => {
            let sizes = Sizes { least: bound(schema, "minItems")?, most: bound(schema, "maxItems")? };
            Kind::List(List { sizes, entries: Box::new(compile(&schema["items"], definitions)?) })
        }
        ["object"] => Kind::Object(object(schema, definitions)?),
        _ => return Err(unknown("the type", &schema["type"])),
    };
    Ok(Shape { is_optional: solid.len() < types.len(), kind })
}

/// An optional reference is `anyOf: [it, null]`.
fn any_of(alternatives: &[Value], definitions: &Value) -> Result<Shape, Unknown> {
    let solid = alternatives.iter().filter(|schema| schema["type"] != "null");
    let shapes: Vec<Shape> = solid.map(|schema| compile(schema, definitions)).collect::<Result<_, _>>()?;
    let is_optional = shapes.len() < alternatives.len();
    Ok(match <[Shape; 1]>::try_from(shapes) {
        Ok([only]) => Shape { is_optional: is_optional || only.is_optional, kind: only.kind },
        Err(shapes) => Shape { is_optional, kind: Kind::Either(shapes) },
    })
}

/// The words of an enumeration, which our types write as `enum` or, with a description each, as `oneOf` of `const`.
fn words(schema: &Value) -> Option<Vec<String>> {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(text).collect();
    }
    schema["oneOf"].as_array()?.iter().map(|alternative| text(&alternative["const"])).collect()
}

fn object(schema: &Value, definitions: &Value) -> Result<Object, Unknown> {
    let required = texts(&schema["required"]);
    let others = match &schema["additionalProperties"] {
        Value::Bool(false) => None,
        schema => Some(Box::new(compile(schema, definitions)?)),
    };
    let given = schema["properties"].as_object().into_iter().flat_map(Map::keys);
    let names = required.iter().chain(given.filter(|name| !required.contains(name)));
    let field = |name: &String| Ok((name.clone(), compile(&schema["properties"][name], definitions)?));
    Ok(Object { fields: names.map(field).collect::<Result<_, _>>()?, required: required.len(), others })
}

fn bound(schema: &Value, keyword: &str) -> Result<Option<u64>, Unknown> {
    match &schema[keyword] {
        Value::Null => Ok(None),
        bound => bound.as_u64().map(Some).ok_or_else(|| unknown("the bound", bound)),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A text, or the texts of a list.
fn texts(value: &Value) -> Vec<String> {
    value.as_array().map_or_else(|| text(value).into_iter().collect(), |list| list.iter().filter_map(text).collect())
}

fn unknown(what: &str, value: impl std::fmt::Display) -> Unknown {
    Unknown(format!("{what} `{value}`"))
}

//! A module of Terraform: the blocks of all its files, and what their expressions come to for one choice of variables.

use std::{collections::BTreeMap, fs, path::Path};

use hcl::{
    Block, Body, Expression, Map, Value,
    eval::{Context, Evaluate as _},
};

use crate::values::{self, Scope};

/// What a deployment chooses: values of variables, by their names. Those that are not in it have their defaults.
pub type Choices = BTreeMap<String, serde_json::Value>;

/// A module.
#[derive(Debug)]
pub struct Module {
    blocks: Vec<Block>,
    scope: Scope,
}

impl Module {
    /// Reads the files of a folder.
    ///
    /// # Panics
    /// If one cannot be read or is no HCL, or a variable has neither a value nor a default.
    pub fn read(folder: &Path, choices: &Choices) -> Self {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("cannot list `{}`: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "tf"))
            .collect();
        files.sort();
        let parse = |path: &std::path::PathBuf| -> Vec<Block> {
            let text = fs::read_to_string(path).unwrap();
            let body: Body = hcl::parse(&text).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
            body.into_blocks().collect()
        };
        let blocks: Vec<Block> = files.iter().flat_map(parse).collect();
        let scope = values::scope(&blocks, choices);
        Self { blocks, scope }
    }

    /// A local value, by its path.
    ///
    /// # Panics
    /// If there is none, or it could not be evaluated.
    pub fn local(&self, path: &[&str]) -> &Value {
        let mut value = &self.scope.locals;
        for name in path {
            value = value.as_object().and_then(|object| object.get(*name)).unwrap_or_else(|| {
                panic!("there is no `local.{}`, or it was not understood", path.join("."));
            });
        }
        value
    }

    /// A local value that maps names to texts.
    ///
    /// # Panics
    /// As [`Self::local`], and if it is anything else.
    pub fn texts(&self, path: &[&str]) -> BTreeMap<String, String> {
        let object = self.local(path).as_object().unwrap_or_else(|| panic!("`local.{}` is no map", path.join(".")));
        object.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// The blocks of a kind: `resource`, `output`.
    pub fn of_kind<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m Block> {
        self.blocks.iter().filter(move |block| block.identifier() == kind)
    }

    /// The blocks of a kind that have this first label: a type of resource.
    pub fn blocks<'m>(&'m self, kind: &'m str, label: &'m str) -> impl Iterator<Item = &'m Block> {
        self.of_kind(kind).filter(move |block| block.labels().first().is_some_and(|first| first.as_str() == label))
    }

    /// A resource by its type and name.
    ///
    /// # Panics
    /// If there is none.
    pub fn resource<'m>(&'m self, label: &'m str, name: &str) -> &'m Block {
        let found = self.blocks("resource", label).find(|block| self::name(block) == name);
        found.unwrap_or_else(|| panic!("there is no `resource \"{label}\" \"{name}\"`"))
    }

    /// How many there are of a block: by `count` none or some, by `for_each` one for each of these pairs.
    pub(crate) fn instances(&self, block: &Block) -> Vec<Option<(String, Value)>> {
        if let Some(count) = attribute(block.body(), "count") {
            let count = self.value(count, None).as_u64().expect("`count` is a number");
            return vec![None; usize::try_from(count).unwrap()];
        }
        match attribute(block.body(), "for_each").map(|each| self.value(each, None)) {
            None => vec![None],
            Some(Value::Object(each)) => each.into_iter().map(Some).collect(),
            Some(other) => panic!("`for_each` of `{}` is no map: {other}", name(block)),
        }
    }

    /// What an expression comes to; `each` is the pair of a `for_each`.
    ///
    /// # Panics
    /// If it uses what is not known here.
    pub fn value(&self, expression: &Expression, each: Option<&(String, Value)>) -> Value {
        let mut context = self.context();
        if let Some((key, value)) = each {
            let pair = [("key", Value::from(key.as_str())), ("value", value.clone())];
            context.declare_var("each", Value::Object(pair.map(|(name, value)| (name.to_owned(), value)).into()));
        }
        expression.evaluate(&context).unwrap_or_else(|error| panic!("cannot evaluate `{expression}`: {error}"))
    }

    fn context(&self) -> Context<'static> {
        let mut context = values::context(&self.scope);
        let mut data = values::surroundings();
        data.insert("aws_iam_policy_document".to_owned(), self.documents(&context));
        context.declare_var("data", Value::Object(data));
        context
    }

    /// Documents of policies are known by their name: their content is [`crate::policies`]' business.
    fn documents(&self, context: &Context<'_>) -> Value {
        let document = |block: &Block| {
            let name = name(block).to_owned();
            let json = Value::Object([("json".to_owned(), Value::from(name.as_str()))].into());
            let value = match attribute(block.body(), "count") {
                None => json,
                Some(count) => {
                    let count = count.evaluate(context).unwrap_or_else(|error| panic!("`count` of `{name}`: {error}"));
                    Value::Array(vec![json; usize::try_from(count.as_u64().unwrap()).unwrap()])
                }
            };
            (name, value)
        };
        let documents: Map<String, Value> = self.blocks("data", "aws_iam_policy_document").map(document).collect();
        Value::Object(documents)
    }
}

/// An attribute of a body.
pub fn attribute<'b>(body: &'b Body, key: &str) -> Option<&'b Expression> {
    body.attributes().find(|attribute| attribute.key() == key).map(hcl::Attribute::expr)
}

/// A block inside of a body, by its type.
///
/// # Panics
/// If there is none.
pub fn inner<'b>(body: &'b Body, kind: &str) -> &'b Body {
    let found = body.blocks().find(|block| block.identifier() == kind);
    found.unwrap_or_else(|| panic!("there is no block `{kind}`")).body()
}

/// The last label of a block: its name.
pub fn name(block: &Block) -> &str {
    block.labels().last().map_or("", hcl::BlockLabel::as_str)
}

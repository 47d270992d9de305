"""Reads the schema of the AWS provider out of the npm package @cdktf/provider-aws.

That package is generated from the provider's own schema, one folder a resource or data source. Its compiled files carry
the generated TypeScript in their source maps, and there each attribute and block stands with its name as Terraform writes
it, its type, and whether it is computed, optional or required. This module reads those lines back. It knows the few shapes
that the generator writes, and nothing of TypeScript beyond them: a folder of another shape is an error, never a guess.

What is given is plain data, see `Schemas.resource`. Serving it to Terraform is `stand_in_provider.py`.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Union

# A type as Terraform's JSON has it: "string", ["list", "string"], ["object", {…}].
Type = Union[str, List[Any]]

SOURCE_MAP = re.compile(r"sourceMappingURL=data:application/json;base64,(\S+)")
# Where a new class or function of the file begins.
TOP_LEVEL = re.compile(r"^export (?:class|function) (\w+)", re.MULTILINE)
# // name - computed: true, optional: false, required: false
MEMBER = re.compile(r"^ *// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$", re.MULTILINE)
# What is put into the configuration, in `…ToHclTerraform` and `synthesizeHclAttributes`.
INPUT = re.compile(
    r"^ +\"?(\w+)\"?: \{\n +value: (.+),\n +isBlock: (true|false),\n +type: \"(\w+)\",\n +storageClassType: \"(\w+)\",$",
    re.MULTILINE,
)
GETTER = re.compile(r"this\.get(\w+)Attribute\('\w+'\)")
NESTED = re.compile(r"= new (cdktf\.)?(\w+)\(this, \"\w+\"")

SIMPLE: Dict[str, Type] = {"string": "string", "boolean": "bool", "number": "number", "any": "dynamic"}
# The kinds of getter that computed attributes have. A list may be of anything simple: the getter tells strings only.
GETTERS: Dict[str, Type] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "dynamic"],
}


class SchemaError(Exception):
    """The package is not of the shape that this module knows."""


class Attribute(NamedTuple):
    type: Type
    computed: bool
    optional: bool
    required: bool


class Nested(NamedTuple):
    """A nested block. `most` is 0 where there is no limit."""

    block: "Block"
    nesting: str
    least: int
    most: int


class Block(NamedTuple):
    attributes: Dict[str, Attribute]
    blocks: Dict[str, Nested]


class Flags(NamedTuple):
    computed: bool
    optional: bool
    required: bool
    # The rest of the member, up to the next one.
    body: str


class Source:
    """One generated file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = SOURCE_MAP.search(path.read_text(encoding="utf-8"))
        if not found:
            raise SchemaError(f"{path}: there is no source map in it")
        text = json.loads(base64.b64decode(found.group(1)))["sourcesContent"][0]
        starts = list(TOP_LEVEL.finditer(text))
        self.parts: Dict[str, str] = {}
        for here, after in zip(starts, starts[1:] + [None]):
            self.parts[here.group(1)] = text[here.start() : after.start() if after else len(text)]

    def part(self, name: str) -> str:
        try:
            return self.parts[name]
        except KeyError:
            raise SchemaError(f"{self.path}: there is no `{name}` in it") from None

    def members(self, of_class: str) -> Dict[str, Flags]:
        text = self.part(of_class)
        found = list(MEMBER.finditer(text))
        members = {}
        for here, after in zip(found, found[1:] + [None]):
            computed, optional, required = (value == "true" for value in here.groups()[1:])
            members[here.group(1)] = Flags(computed, optional, required, text[here.end() : after.start() if after else len(text)])
        return members

    def block(self, holder: str, inputs: str) -> Block:
        """The block whose members are in the class `holder` and whose inputs are in the part `inputs`."""
        attributes: Dict[str, Attribute] = {}
        blocks: Dict[str, Nested] = {}
        # The blocks of the provider's own block have no class: nothing is said of them but their names.
        members = self.members(holder) if holder in self.parts or inputs == holder else {}
        for name, value, is_block, kind, storage in INPUT.findall(self.part(inputs)):
            if members and name not in members:
                raise SchemaError(f"{self.path}: `{holder}` does not say what `{name}` is")
            flags = members.get(name, Flags(False, True, False, ""))
            if is_block == "true":
                # A block that may stand once is put in as it is, any other one through a mapper of lists.
                most = 0 if "listMapperHcl(" in value or kind == "map" else 1
                blocks[name] = Nested(self.nested(base_name(storage)), kind, int(flags.required), most)
            else:
                attributes[name] = Attribute(self.input_type(kind, storage), *flags[:3])
        for name, flags in members.items():
            if name not in attributes and name not in blocks:
                attributes[name] = Attribute(self.output_type(flags.body, f"{holder}.{name}"), *flags[:3])
        return Block(attributes, blocks)

    def nested(self, name: str) -> Block:
        inputs = name[0].lower() + name[1:] + "ToHclTerraform"
        return self.block(name + "OutputReference", inputs)

    def object_type(self, name: str) -> Type:
        block = self.nested(name)
        fields: Dict[str, Type] = {key: attribute.type for key, attribute in block.attributes.items()}
        for key, nested in block.blocks.items():
            inner = {k: a.type for k, a in nested.block.attributes.items()}
            fields[key] = [nested.nesting if nested.nesting in ("list", "set", "map") else "list", ["object", inner]]
        return ["object", fields]

    def input_type(self, kind: str, storage: str) -> Type:
        if kind == "simple":
            return SIMPLE[storage]
        if storage[0].isupper():
            inner = self.object_type(base_name(storage))
        elif storage == "any":
            return "dynamic"
        else:
            # "stringList", "stringListList", "stringMapList": the last word is what `kind` says.
            words = re.findall(r"^[a-z]+|[A-Z][a-z]+", storage)
            inner = SIMPLE[words[0]]
            for word in words[1:-1]:
                inner = [word.lower(), inner]
        return inner if kind == "struct" else [kind, inner]

    def output_type(self, body: str, what: str) -> Type:
        getter = GETTER.search(body)
        nested = NESTED.search(body)
        if nested and nested.group(1):
            # cdktf.StringMap, cdktf.NumberMapList, …
            words = re.findall(r"[A-Z][a-z]+", nested.group(2))
            kind: Type = SIMPLE[words[0].lower()] if words[0].lower() in SIMPLE else "dynamic"
            for word in words[1:]:
                kind = [word.lower(), kind]
            return kind
        if nested:
            name = nested.group(2)
            inner = self.object_type(base_name(name))
            return ["list", inner] if name.endswith("List") else ["map", inner] if name.endswith("Map") else inner
        if getter and getter.group(1) in GETTERS:
            return GETTERS[getter.group(1)]
        if "cdktf.Token.asNumberList" in body:
            return ["list", "number"]
        if "interpolationForAttribute" in body:
            return "dynamic"
        raise SchemaError(f"{self.path}: the type of `{what}` is not known")


def base_name(storage: str) -> str:
    """The name that a class for a list, a map or one object of something is built from."""
    return re.sub(r"(OutputReference|List|Map)$", "", storage)


class Schemas:
    """The schemas in a package that was unpacked at `package`."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self._index: Optional[Dict[str, Path]] = None

    def version(self) -> str:
        """The version of the provider that the package was generated from."""
        text = (self.package / "lib" / "s3-bucket" / "index.js").read_text(encoding="utf-8")
        found = re.search(r"providerVersion: '([0-9.]+)'", text)
        if not found:
            raise SchemaError(f"{self.package}: it does not say which version of the provider it was generated from")
        return found.group(1)

    def resource(self, name: str) -> Optional[Block]:
        """The schema of the resource type `name`; nothing if there is no such type."""
        return self._of_folder(self._folder(name, ""), "TerraformResource")

    def data_source(self, name: str) -> Optional[Block]:
        """The same of a data source."""
        return self._of_folder(self._folder(name, "data-"), "TerraformDataSource")

    def provider(self) -> Block:
        """The schema of the provider's own block."""
        block = self._of_folder(self.package / "lib" / "provider", "TerraformProvider")
        if block is None:
            raise SchemaError(f"{self.package}: the provider's own schema is missing")
        return block

    def names(self, prefix: str = "") -> List[str]:
        """All resource types, for messages; with `data-` all data sources."""
        folders = (folder.name for folder in (self.package / "lib").iterdir() if folder.is_dir())
        wanted = (name for name in folders if name.startswith("data-aws-") == bool(prefix) and name != "provider")
        return sorted("aws_" + name[len("data-aws-") if prefix else 0 :].replace("-", "_") for name in wanted)

    def _folder(self, name: str, prefix: str) -> Optional[Path]:
        if not name.startswith("aws_"):
            return None
        stem = name[len("aws_") :].replace("_", "-")
        folder = self.package / "lib" / (f"data-aws-{stem}" if prefix else stem)
        return folder if folder.is_dir() else None

    def _of_folder(self, folder: Optional[Path], base: str) -> Optional[Block]:
        if folder is None:
            return None
        source = Source(folder / "index.js")
        for name, text in source.parts.items():
            if f"extends cdktf.{base} " in text.split("\n", 1)[0]:
                return source.block(name, name)
        raise SchemaError(f"{folder}: there is no {base} in it")

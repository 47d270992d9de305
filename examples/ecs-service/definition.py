"""Task definitions as values: what of a described one can be registered again, and with which image.

Pure. DescribeTaskDefinition answers with more than RegisterTaskDefinition takes; what it adds is listed here and left
out. Everything else is kept as it is, also fields that AWS adds after this was written: a list of what to keep would
lose those without a word, while a new read-only field makes the registration fail and say so.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List

from tools import Failure

# What DescribeTaskDefinition tells and RegisterTaskDefinition does not take: the members of the API's shape
# `TaskDefinition` that are not in `RegisterTaskDefinitionRequest`. Tags come beside the definition, not in it.
READ_ONLY = (
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
)


def registration(described: Dict[str, Any]) -> Dict[str, Any]:
    """What to register to get this definition once more. `described` is the whole answer, with `--include TAGS`."""
    definition = copy.deepcopy(described["taskDefinition"])
    for field in READ_ONLY:
        definition.pop(field, None)
    # Tags of the service's own making cannot be set by anybody else.
    tags = [tag for tag in described.get("tags", []) if not tag.get("key", "").lower().startswith("aws:")]
    if tags:
        definition["tags"] = sorted(tags, key=lambda tag: tag["key"])
    return definition


def container(definition: Dict[str, Any], name: str) -> Dict[str, Any]:
    """The container of this name."""
    containers: List[Dict[str, Any]] = definition.get("containerDefinitions", [])
    for one in containers:
        if one.get("name") == name:
            return one
    family = definition.get("family", "?")
    names = ", ".join(str(one.get("name")) for one in containers)
    raise Failure(f"the task definition `{family}` has no container `{name}`; it has {names}")


def with_image(described: Dict[str, Any], name: str, image: str) -> Dict[str, Any]:
    """What to register to get this definition with another image in that one container, and nothing else changed."""
    wanted = registration(described)
    container(wanted, name)["image"] = image
    return wanted


def image_of(described: Dict[str, Any], name: str) -> str:
    """The image of that container."""
    return str(container(described["taskDefinition"], name).get("image", ""))


def arn(described: Dict[str, Any]) -> str:
    """The revision's ARN."""
    return str(described["taskDefinition"]["taskDefinitionArn"])


def short(task_definition_arn: str) -> str:
    """`family:revision`, for people."""
    return task_definition_arn.rsplit("/", 1)[-1]

"""Batch job definitions as values: what of a described one can be registered again, and with which image.

Pure. DescribeJobDefinitions answers with more than RegisterJobDefinition takes; what it adds is listed here and left
out, and everything else is kept, also fields that AWS adds after this was written.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List

from tools import Failure

# The members of the API's shape `JobDefinition` that are not in `RegisterJobDefinitionRequest`.
READ_ONLY = ("jobDefinitionArn", "revision", "status", "containerOrchestrationType")
# Old fields of a container, since replaced by `resourceRequirements`. A 0 says that they are not set, and is refused
# when it is registered.
ZERO_IS_UNSET = ("vcpus", "memory")


def registration(described: Dict[str, Any]) -> Dict[str, Any]:
    """What to register to get this definition once more."""
    wanted = copy.deepcopy(described)
    for field in READ_ONLY:
        wanted.pop(field, None)
    for field in ZERO_IS_UNSET:
        if wanted.get("containerProperties", {}).get(field) == 0:
            del wanted["containerProperties"][field]
    tags = {key: value for key, value in wanted.pop("tags", {}).items() if not key.lower().startswith("aws:")}
    if tags:
        wanted["tags"] = tags
    return wanted


def container(definition: Dict[str, Any], name: str) -> Dict[str, Any]:
    """The part that holds the image. `name` is needed only when there are several containers."""
    label = f"`{definition.get('jobDefinitionName')}`"
    kind = definition.get("type")
    if kind == "multinode" or definition.get("nodeProperties"):
        raise Failure(
            f"{label} is a multi-node job: each range of its nodes has a container of its own, and which of their "
            "images belong together is not for this script to guess. Register its revisions by hand or by Terraform"
        )
    if definition.get("eksProperties"):
        raise Failure(
            f"{label} runs on EKS: its image stands in a pod's specification, which this script does not change"
        )
    properties = definition.get("containerProperties")
    if isinstance(properties, dict):
        if name:
            raise Failure(f"{label} has one container without a name: leave `CONTAINER` out")
        return properties
    tasks = (definition.get("ecsProperties") or {}).get("taskProperties") or []
    containers: List[Dict[str, Any]] = [one for task in tasks for one in task.get("containers", [])]
    if not containers:
        raise Failure(f"{label} is of the type `{kind}` and has no container that this script knows")
    names = ", ".join(str(one.get("name")) for one in containers)
    if not name and len(containers) == 1:
        return containers[0]
    if not name:
        raise Failure(f"{label} has several containers: set `CONTAINER` to one of {names}")
    for one in containers:
        if one.get("name") == name:
            return one
    raise Failure(f"{label} has no container `{name}`; it has {names}")


def with_image(described: Dict[str, Any], name: str, image: str) -> Dict[str, Any]:
    """What to register to get this definition with another image in that container, and nothing else changed."""
    wanted = registration(described)
    container(wanted, name)["image"] = image
    return wanted


def image_of(described: Dict[str, Any], name: str) -> str:
    """The image of that container."""
    return str(container(described, name).get("image", ""))


def short(described: Dict[str, Any]) -> str:
    """`name:revision`, for people."""
    return f"{described['jobDefinitionName']}:{described['revision']}"

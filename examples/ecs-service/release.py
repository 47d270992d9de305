"""What is released: a tag such as `backend-v1.4.0`, the commit it stands for, and the service it belongs to.

The services are told in `services.json` beside this file. Nothing here speaks to AWS or git.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from tools import Failure, variable

SERVICES = Path(__file__).resolve().parent / "services.json"

# No leading zeros, and nothing after the third number: two spellings of one version would be two tags.
VERSION = r"(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
TAG = re.compile(rf"^(?P<service>[a-z][a-z0-9-]*?)-v(?P<version>{VERSION})$")
COMMIT = re.compile(r"^[0-9a-f]{40}$")

# Fields of a service in services.json: True for those it must have.
FIELDS = {
    "repository": True,  # name of its ECR repository
    "context": True,  # folder of the code that its image is built from, from the top of the repository
    "dockerfile": False,  # default: `Dockerfile` in that folder
    "platform": False,  # such as linux/arm64; default: the builder's own
    "cluster": True,  # ECS cluster
    "service": True,  # ECS service in it
    "container": True,  # the container of its task definition whose image is changed
    "health_url": True,  # what is asked after a release
    "health_text": False,  # what its answer must contain; `{version}` stands for the version
}


@dataclass(frozen=True)
class Service:
    """One entry of services.json."""

    name: str
    repository: str
    context: str
    cluster: str
    service: str
    container: str
    health_url: str
    dockerfile: str = ""
    platform: str = ""
    health_text: str = ""

    def released(self, image_tag: str) -> bool:
        """Whether this is the form of a release tag of this service."""
        found = TAG.match(image_tag)
        return found is not None and found.group("service") == self.name


@dataclass(frozen=True)
class Release:
    """A tag and the service whose it is."""

    tag: str
    version: str
    service: Service

    @property
    def mark(self) -> str:
        """The second tag that an image gets once its release has ended well."""
        return mark_of(self.tag)


def mark_of(tag: str) -> str:
    """The image tag that says that `tag` was released to its end."""
    return f"{tag}.released"


def commit_tag(commit: str) -> str:
    """The image tag that says which commit an image was built from."""
    return f"commit-{commit}"


def services(path: Path = SERVICES) -> Dict[str, Service]:
    """All services, by name; every mistake in the file is told with its place."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"failed to read {path.name}: {error}") from None
    if not isinstance(entries, dict) or not entries:
        raise Failure(f"{path.name} should be an object with an entry for each service")
    problems = []
    for name, entry in entries.items():
        if not TAG.match(f"{name}-v0.0.0"):
            problems.append(f"{name}: a service's name is lower-case letters, digits and `-`")
        if not isinstance(entry, dict):
            problems.append(f"{name}: should be an object")
            continue
        problems += [f"{name}.{field}: unknown field" for field in entry if field not in FIELDS]
        problems += [f"{name}.{field}: is missing" for field, needed in FIELDS.items() if needed and field not in entry]
        problems += [
            f"{name}.{field}: should be a text that is not empty"
            for field, value in entry.items()
            if not (isinstance(value, str) and value)
        ]
    if problems:
        raise Failure(f"{path.name} is wrong: " + "; ".join(problems))
    return {name: Service(name=name, **entry) for name, entry in entries.items()}


def parse(tag: str, known: Dict[str, Service]) -> Release:
    """The release that a tag names."""
    found = TAG.match(tag)
    if found is None:
        raise Failure(f"`{tag}` is no release tag: `<service>-vX.Y.Z` is wanted, such as `backend-v1.4.0`")
    service = known.get(found.group("service"))
    if service is None:
        raise Failure(f"`{tag}` is a tag of `{found.group('service')}`; services.json has {', '.join(sorted(known))}")
    return Release(tag=tag, version=found.group("version"), service=service)


def release() -> Release:
    """The release that the job is about, from `RELEASE_TAG`."""
    return parse(variable("RELEASE_TAG", "the tag to release, such as `backend-v1.4.0`"), services())


def commit() -> str:
    """The commit that the job was made for, from `RELEASE_COMMIT`."""
    text = variable("RELEASE_COMMIT", "the full id of the commit that the tag stands for")
    if not COMMIT.match(text):
        raise Failure(f"`RELEASE_COMMIT` cannot be `{text}`: the full id of 40 hex digits is wanted")
    return text


def rollback_to(current: Release) -> str:
    """The tag to go back to, from `ROLLBACK_TO`; empty for the one before."""
    text = os.environ.get("ROLLBACK_TO", "").strip()
    if text and parse(text, services()).service != current.service:
        raise Failure(f"`ROLLBACK_TO` is `{text}`, which is not of the service `{current.service.name}`")
    if text == current.tag:
        raise Failure(f"`ROLLBACK_TO` and `RELEASE_TAG` are both `{text}`: one is left, the other is gone back to")
    return text

"""Revisions of one Batch job definition: reading, registering and taking back.

A job that is submitted by the definition's name gets its newest active revision. So to register is to release, and
the newest active revision is what counts everywhere here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable, Dict, List

from definition import image_of, registration, short, with_image
from tools import AwsFailure, Failure, aws, report, say, variable

# An image tag as registries take them. A digest is not one: rollbacks go by tag.
TAG_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


@dataclass(frozen=True)
class Subject:
    """The definition, and the image that a job of the engine is about."""

    name: str
    container: str
    repository: str
    tag: str


def tag_of(name: str, value: str) -> str:
    """An image tag, checked."""
    if not value or len(value) > 128 or value[0] in ".-" or not set(value) <= TAG_LETTERS:
        raise Failure(f"`{name}` cannot be `{value}`: an image tag of letters, digits, `_`, `.` and `-` is wanted")
    return value


def subject() -> Subject:
    """From the variables of the order."""
    name = variable("JOB_DEFINITION", "the name of the job definition, without a revision")
    if ":" in name or "/" in name:
        raise Failure(f"`JOB_DEFINITION` cannot be `{name}`: the bare name is wanted, without a revision or an ARN")
    tag = tag_of("IMAGE_TAG", variable("IMAGE_TAG", "the image tag that is released, or left by a rollback"))
    repository = variable("REPOSITORY", "the name of the ECR repository")
    return Subject(name, os.environ.get("CONTAINER", "").strip(), repository, tag)


def image(what: Subject, tag: str) -> str:
    """How job definitions name an image of the repository."""
    try:
        answer = aws("ecr", "describe-repositories", "--repository-names", what.repository)
    except AwsFailure as failure:
        if failure.code == "RepositoryNotFoundException":
            raise Failure(f"there is no ECR repository `{what.repository}` in this account and region") from None
        raise
    return f"{answer['repositories'][0]['repositoryUri']}:{tag}"


def image_exists(what: Subject) -> None:
    """Refuses a tag that no image has: Batch would take it, and each job would fail to start."""
    try:
        words = ["--repository-name", what.repository, "--image-ids", f"imageTag={what.tag}"]
        aws("ecr", "describe-images", *words)
    except AwsFailure as failure:
        if failure.code == "ImageNotFoundException":
            raise Failure(f"there is no image `{what.repository}:{what.tag}`: push it first") from None
        raise


def revisions(name: str) -> List[Dict[str, Any]]:
    """All revisions that Batch knows, newest first: the active ones, and for 180 days those that were deregistered."""
    found = aws("batch", "describe-job-definitions", "--job-definition-name", name).get("jobDefinitions", [])
    return sorted(found, key=lambda one: int(one["revision"]), reverse=True)


def active(name: str) -> List[Dict[str, Any]]:
    """The active revisions, newest first; at least one."""
    found = [one for one in revisions(name) if one.get("status") == "ACTIVE"]
    if not found:
        raise Failure(
            f"there is no active job definition `{name}` in this account and region: the first revision is made by "
            "hand or by Terraform, and this changes its image alone"
        )
    return found


def register(wanted: Dict[str, Any], why: str) -> Dict[str, Any]:
    """Registers a revision, and returns it as Batch knows it."""
    made = aws("batch", "register-job-definition", document=wanted)
    name = f"{made['jobDefinitionName']}:{made['revision']}"
    say(f"registered {name}: {why}")
    report("job_definition_registered", revision=name, why=why)
    return made


def has(what: Subject, one: Dict[str, Any], wanted: str) -> bool:
    """Whether this revision has the image. An old one may be of a kind that has none that can be told: it has not."""
    try:
        return image_of(one, what.container) == wanted
    except Failure:
        return False


def release(what: Subject) -> None:
    """The newest revision with the image of the tag, unless it has that already."""
    newest = active(what.name)[0]
    wanted = with_image(newest, what.container, image(what, what.tag))
    if wanted == registration(newest):
        say(f"{short(newest)} has the image {what.tag} already")
        return
    register(wanted, f"{short(newest)} with the image {image_of(wanted, what.container)}")


def released(what: Subject) -> Dict[str, Any]:
    """The newest active revision, which an earlier order should have given the tag's image."""
    newest = active(what.name)[0]
    there, wanted = image_of(newest, what.container), image(what, what.tag)
    if there != wanted:
        raise Failure(f"the newest revision {short(newest)} has the image {there}, not {wanted}: register it first")
    return newest


def revert(what: Subject) -> None:
    """Deregisters the newest revisions that have the image of the tag, so that the one before is the newest again."""
    left = image(what, what.tag)
    there = active(what.name)
    bad = []
    for one in there:
        if not has(what, one, left):
            break
        bad.append(one)
    if not bad:
        say(f"{short(there[0])} is the newest and does not have the image {what.tag}: nothing to take back")
        return
    if len(bad) == len(there):
        raise Failure(f"every active revision of `{what.name}` has the image {what.tag}: none would be left")
    # The newest first: at no moment is one that is to go the newest while another one was kept.
    for one in bad:
        aws("batch", "deregister-job-definition", "--job-definition", str(one["jobDefinitionArn"]))
        say(f"deregistered {short(one)}")
    say(f"{short(there[len(bad)])} is the newest now")
    report("job_definition_reverted", revision=short(there[len(bad)]), left=[short(one) for one in bad])


def roll_to(what: Subject, tag: str) -> None:
    """Registers once more the newest revision whose image has this tag, also one that was deregistered."""
    wanted = image(what, tag)
    again(what, lambda one: has(what, one, wanted), f"has the image of the tag `{tag}`")


def roll_to_last(what: Subject) -> None:
    """Registers once more the last revision before those of the tag."""
    left = image(what, what.tag)
    newest = active(what.name)[0]
    if image_of(newest, what.container) != left:
        say(f"{short(newest)} is the newest and does not have the image {what.tag}: nothing to leave")
        return
    again(what, lambda one: not has(what, one, left), f"has another image than `{what.tag}`")


def again(what: Subject, fits: Callable[[Dict[str, Any]], bool], description: str) -> None:
    """Registers once more the newest revision that fits, unless the newest active one is the same."""
    newest = active(what.name)[0]
    for one in revisions(what.name):
        if not fits(one):
            continue
        if registration(one) == registration(newest):
            say(f"{short(newest)} is the newest, and {short(one)} once more already")
        else:
            register(registration(one), f"{short(one)} once more")
        return
    raise Failure(f"no revision of `{what.name}` that Batch still knows {description}")

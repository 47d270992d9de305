"""The image of a release in ECR, and the tag in git that it comes from.

An image carries up to three kinds of tags, and nothing else remembers anything:

    commit-<40 hex digits>     which commit it was built from; put first, with the image itself
    backend-v1.4.0             the release it belongs to; put once the image is there
    backend-v1.4.0.released    that this release ended well; put last

The repository's tags must be immutable: then a tag, once put, stands for that image for ever, also against somebody
who pushes by hand. A release that failed half-way can be begun again: its tag is there, but from the same commit and
without the third one.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from images import push
from release import Release, Service, commit_tag, mark_of
from tools import AwsFailure, Failure, ProgramFailure, aws, run, say


@dataclass(frozen=True)
class Image:
    """An image in the registry."""

    digest: str
    tags: List[str] = field(default_factory=list)
    pushed_at: Optional[datetime] = None

    @property
    def commits(self) -> List[str]:
        """The commits that it was built from: several when they all give the very same image."""
        return [tag[len("commit-") :] for tag in self.tags if tag.startswith("commit-")]

    @property
    def pushed(self) -> str:
        """When it was pushed, for people."""
        return self.pushed_at.strftime("%Y-%m-%d %H:%M UTC") if self.pushed_at else "at an unknown time"


def moment(value: Any) -> Optional[datetime]:
    """A time as the AWS CLI prints it: version 2 as ISO 8601, version 1 as the service gave it, seconds."""
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc)
    if isinstance(value, str):
        at = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return at.astimezone(timezone.utc) if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return None


def uri(service: Service) -> str:
    """The repository's URI, which images are named by. Its tags must be immutable."""
    try:
        answer = aws("ecr", "describe-repositories", "--repository-names", service.repository)
    except AwsFailure as failure:
        if failure.code == "RepositoryNotFoundException":
            raise Failure(f"there is no ECR repository `{service.repository}` in this account and region") from None
        raise
    repository = answer["repositories"][0]
    # The other values are IMMUTABLE and IMMUTABLE_WITH_EXCLUSION, where tags that match a filter may move.
    if repository.get("imageTagMutability", "MUTABLE").startswith("MUTABLE"):
        raise Failure(
            f"tags of the ECR repository `{service.repository}` can be moved, so none of them says for certain what "
            "was released: set its imageTagMutability to IMMUTABLE"
        )
    return str(repository["repositoryUri"])


def find(service: Service, tag: str) -> Optional[Image]:
    """The image with this tag, if there is one."""
    try:
        answer = aws(
            "ecr", "describe-images", "--repository-name", service.repository, "--image-ids", f"imageTag={tag}"
        )
    except AwsFailure as failure:
        if failure.code == "ImageNotFoundException":
            return None
        raise
    return read(answer["imageDetails"][0])


def read(detail: Dict[str, Any]) -> Image:
    """An image as DescribeImages tells of it."""
    return Image(detail["imageDigest"], detail.get("imageTags", []), moment(detail.get("imagePushedAt")))


def needed(release: Release) -> Image:
    """The release's image, which an earlier order should have put there."""
    image = find(release.service, release.tag)
    if image is None:
        raise Failure(
            f"there is no image `{release.service.repository}:{release.tag}`: the order `build` puts it there"
        )
    return image


def unused(release: Release, commit: str) -> None:
    """Refuses a tag that was used before. Used: for another commit, or to the end, or before a newer one ended well."""
    image = find(release.service, release.tag)
    if image is None:
        return
    if release.mark in image.tags:
        raise Failure(
            f"`{release.tag}` was released before (its image was pushed {image.pushed}): a tag is used once. Make a "
            "new tag, or use rollback.yaml to go back to this one"
        )
    if commit not in image.commits:
        of = " and ".join(image.commits) or "a commit that it does not tell"
        raise Failure(
            f"`{release.tag}` was used before: its image, pushed {image.pushed}, is of {of}, and this job is for "
            f"{commit}. Make a new tag"
        )
    newer = finished_after(release.service, image)
    if newer:
        raise Failure(
            f"`{release.tag}` was begun {image.pushed} and never ended well, and {newer} was released since: make a "
            "new tag"
        )
    say(f"{release.tag} was begun {image.pushed} from the same commit and did not end: it goes on")


def finished_after(service: Service, image: Image) -> str:
    """A release of this service that ended well and whose image came after this one; empty if there is none."""
    answer = aws("ecr", "describe-images", "--repository-name", service.repository)
    for other in map(read, answer["imageDetails"]):
        if other.pushed_at and image.pushed_at and other.pushed_at > image.pushed_at:
            for tag in other.tags:
                if service.released(tag) and mark_of(tag) in other.tags:
                    return tag
    return ""


def commit_in_git(release: Release) -> str:
    """The commit that the tag stands for in git, now."""
    source = os.environ.get("SOURCE_URL", "").strip()
    if not source:
        raise Failure("the variable `SOURCE_URL` is not set: the repository to look the tag up in, as git knows it")
    os.environ["GIT_TERMINAL_PROMPT"] = "0"
    token = os.environ.get("GIT_TOKEN", "")
    if token and source.startswith("https://"):
        # By the environment: other processes can read a command line.
        pair = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        os.environ.update(
            GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0="http.extraHeader",
            GIT_CONFIG_VALUE_0=f"Authorization: Basic {pair}",
        )
    name = f"refs/tags/{release.tag}"
    try:
        # An annotated tag has an object of its own; `^{}` is the commit that it points at.
        said = run(["git", "ls-remote", "--", source, name, f"{name}^{{}}"])
    except ProgramFailure as failure:
        raise Failure(f"failed to look up the tag in git: {failure}") from None
    found: Dict[str, str] = {}
    for line in said.splitlines():
        commit_id, _, reference = line.partition("\t")
        found[reference] = commit_id
    commit = found.get(f"{name}^{{}}") or found.get(name)
    if commit is None:
        raise Failure(f"there is no tag `{release.tag}` in {source}: push it first")
    return commit


def build(release: Release, commit: str) -> None:
    """Builds and pushes the image unless it is there, and gives it the release's tag."""
    service = release.service
    repository = uri(service)
    image = find(service, commit_tag(commit))
    if image:
        say(f"the image of {commit} is there already: {image.digest}")
    else:
        push(service, f"{repository}:{commit_tag(commit)}", release, commit)
        image = find(service, commit_tag(commit))
        if image is None:
            raise Failure(f"the image was pushed, and {service.repository} has none with the tag {commit_tag(commit)}")
    retag(service, image, release.tag)
    say(f"{repository}:{release.tag} is {image.digest}")


def retag(service: Service, image: Image, tag: str) -> None:
    """Gives an image one more tag, by putting its manifest again under it. Nothing is pulled or pushed."""
    there = find(service, tag)
    if there:
        if there.digest != image.digest:
            raise Failure(f"`{tag}` is the tag of another image already: {there.digest}, not {image.digest}")
        return
    answer = aws(
        "ecr", "batch-get-image", "--repository-name", service.repository, "--image-ids", f"imageDigest={image.digest}"
    )
    if not answer.get("images"):
        raise Failure(f"the image {image.digest} is not in {service.repository} any more")
    manifest = answer["images"][0]
    document = {
        "repositoryName": service.repository,
        "imageManifest": manifest["imageManifest"],
        "imageTag": tag,
        # With it ECR refuses a manifest that is not, byte for byte, the one that was asked for.
        "imageDigest": image.digest,
    }
    if manifest.get("imageManifestMediaType"):
        document["imageManifestMediaType"] = manifest["imageManifestMediaType"]
    try:
        aws("ecr", "put-image", document=document)
    except AwsFailure:
        # The answer may be lost and the tag there all the same; or somebody was faster. Whose it is, is looked at.
        there = find(service, tag)
        if there is None:
            raise
        if there.digest != image.digest:
            raise Failure(f"`{tag}` was given to another image meanwhile: {there.digest}, not {image.digest}") from None

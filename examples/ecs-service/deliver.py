"""One step of a release or of a rollback: the orders of release.yaml and rollback.yaml run this file, a verb each.

Every verb may be run again after it failed anywhere: it looks at what is there and does what is missing. Orders share
no files, so nothing is handed from one to the next but through ECR and ECS.
"""

from __future__ import annotations

import sys

import registry
import service as ecs
from definition import arn, image_of, short
from health import healthy
from release import TAG, Release, commit, release, rollback_to
from tools import Failure, main, report, say

USAGE = """usage: python3 deliver.py VERB

A release of RELEASE_TAG, in this order:
  check             refuse a tag that was used before, and see that everything else is there
  build             build and push the image, unless it is there
  register          a task definition revision that differs by the image alone
  update            make the service run it
  stable            wait until it does
  health            ask its health URL
  finish            remember that the release ended well

Leaving RELEASE_TAG for what was before, or for ROLLBACK_TO:
  rollback          make the service run the revision before
  rollback-stable   wait until it does
  rollback-health   ask its health URL

The variables are told in README.md."""


def image(what: Release) -> str:
    """How task definitions name the image of a release."""
    return f"{registry.uri(what.service)}:{what.tag}"


def check() -> None:
    what, of = release(), commit()
    there = registry.commit_in_git(what)
    if there != of:
        raise Failure(
            f"`{what.tag}` is {there} in git, and this job was made for {of}: a tag is never moved. Make a new tag, or "
            "a new job if nothing was released yet"
        )
    registry.uri(what.service)
    registry.unused(what, of)
    running = ecs.definition(str(ecs.describe(what.service)["taskDefinition"]))
    before = image_of(running, what.service.container)
    say(f"{what.service.service} runs {short(arn(running))}, {before}")


def build() -> None:
    registry.build(release(), commit())


def register() -> None:
    what = release()
    registry.needed(what)
    ecs.register(what.service, image(what))


def update() -> None:
    what = release()
    ecs.update(what.service, arn(ecs.released_revision(what.service, image(what))))


def stable() -> None:
    what = release()
    ecs.stable(what.service, arn(ecs.released_revision(what.service, image(what))))


def health() -> None:
    what = release()
    healthy(what.service.health_url, what.service.health_text.replace("{version}", what.version))


def finish() -> None:
    what = release()
    registry.retag(what.service, registry.needed(what), what.mark)
    say(f"{what.tag} is released")
    report("released", tag=what.tag, service=what.service.name, version=what.version)


def rollback() -> None:
    what = release()
    repository = registry.uri(what.service)
    back = ecs.previous_revision(what.service, repository, what.tag, rollback_to(what))
    now = ecs.definition(str(ecs.describe(what.service)["taskDefinition"]))
    if arn(now) != arn(back) and image_of(now, what.service.container) != f"{repository}:{what.tag}":
        raise Failure(
            f"{what.service.service} runs {short(arn(now))}, which is neither of `{what.tag}` nor {short(arn(back))}, "
            "to which it would go back: somebody else was here"
        )
    ecs.update(what.service, arn(back))


def rollback_stable() -> None:
    what = release()
    back = ecs.previous_revision(what.service, registry.uri(what.service), what.tag, rollback_to(what))
    ecs.stable(what.service, arn(back))


def rollback_health() -> None:
    what = release()
    running = ecs.definition(str(ecs.describe(what.service)["taskDefinition"]))
    found = TAG.match(image_of(running, what.service.container).rpartition(":")[2])
    # An image that is no release of ours has no version that its answer could be held against.
    text = what.service.health_text if found or "{version}" not in what.service.health_text else ""
    healthy(what.service.health_url, text.replace("{version}", found.group("version") if found else ""))


VERBS = {
    "check": check,
    "build": build,
    "register": register,
    "update": update,
    "stable": stable,
    "health": health,
    "finish": finish,
    "rollback": rollback,
    "rollback-stable": rollback_stable,
    "rollback-health": rollback_health,
}

if __name__ == "__main__":
    sys.exit(main(VERBS, USAGE))

"""Building an image, in one of two ways, and pushing it under a name that it does not have yet.

- With `BUILD_PROJECT`: a build in that CodeBuild project, which is one's own and made for it (image-project.json). Its
  containers are privileged, as Docker wants it, and its role may push images and nothing else.
- Without: by a builder in the order itself. The engine's own project is not privileged, so that commands cannot become
  root and take the worker's credentials; this is for a machine of one's own, and for a project where that is no matter.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List

from release import Release, Service
from tools import AwsFailure, Failure, aws, number, run, say

# Programs that build images, best first, all with the same verbs. The first two need no daemon.
BUILDERS = ("buildah", "podman", "docker")
# What a build of the project does; given with each build, so it is of the same commit as the scripts.
BUILDSPEC = Path(__file__).resolve().parent / "image-buildspec.yml"
# How long a build is waited for, below the order's hour; and between two looks, of something that takes minutes.
BUILD_LIMIT, BUILD_PAUSE = 3300, 10


def push(service: Service, name: str, release: Release, commit: str) -> None:
    """Builds the image of a commit and pushes it under this name."""
    project = os.environ.get("BUILD_PROJECT", "").strip()
    labels = {"org.opencontainers.image.revision": commit, "org.opencontainers.image.version": release.version}
    if project:
        in_project(project, service, name, commit, labels)
    else:
        here(service, name, labels)


def builder() -> str:
    """The program that builds images: `BUILDER`, or the first that is there."""
    wanted = os.environ.get("BUILDER", "").strip()
    if wanted and wanted not in BUILDERS:
        raise Failure(f"`BUILDER` cannot be `{wanted}`: {', '.join(BUILDERS)} are known")
    for name in [wanted] if wanted else BUILDERS:
        if shutil.which(name):
            return name
    raise Failure(f"{wanted or 'none of ' + ', '.join(BUILDERS)} is not on the PATH: set BUILD_PROJECT, see README.md")


def words(service: Service, labels: Dict[str, str]) -> List[str]:
    """What a builder's `build` is told besides the name and the context."""
    dockerfile = service.dockerfile or f"{service.context}/Dockerfile"
    platform = ["--platform", service.platform] if service.platform else []
    return [
        "--file",
        dockerfile,
        *platform,
        *(word for label in labels.items() for word in ("--label", "=".join(label))),
    ]


def here(service: Service, name: str, labels: Dict[str, str]) -> None:
    """By a builder in this order."""
    program = builder()
    if not os.path.isdir(service.context):
        raise Failure(f"services.json: {service.name}.context: there is no folder `{service.context}` in the code")
    told = words(service, labels)
    if not os.path.isfile(told[1]):
        raise Failure(f"services.json: {service.name}: there is no file `{told[1]}` in the code")
    run([program, "build", "--tag", name, *told, service.context], capture=False)
    # The password lives for twelve hours. It goes from pipe to pipe, and what `login` keeps of it lies in this
    # order's own HOME, which is removed with it.
    password = run(["aws", "ecr", "get-login-password"]).strip()
    run([program, "login", "--username", "AWS", "--password-stdin", name.split("/", 1)[0]], stdin=password)
    run([program, "push", name], capture=False)


def in_project(project: str, service: Service, name: str, commit: str, labels: Dict[str, str]) -> None:
    """By a build of the project, which fetches the commit by itself."""
    told = words(service, labels)
    for word in [*told, service.context]:
        # They become one variable, which the buildspec splits at blanks.
        if any(letter.isspace() for letter in word):
            raise Failure(f"services.json: {service.name}: `{word}` may not have blanks in it")
    variables = {"IMAGE": name, "CONTEXT": service.context, "BUILD_WORDS": " ".join(told)}
    limit = number("BUILD_LIMIT", BUILD_LIMIT, 1, 28800)
    document = {
        "projectName": project,
        "sourceVersion": commit,
        "buildspecOverride": BUILDSPEC.read_text(encoding="utf-8"),
        "environmentVariablesOverride": [
            {"name": key, "value": value, "type": "PLAINTEXT"} for key, value in variables.items()
        ],
        # CodeBuild takes 5 to 2160 minutes; should this script be killed, the build ends by this.
        "timeoutInMinutesOverride": max(5, int(limit // 60)),
        # The CLI's own second attempt begins no second build; another run does.
        "idempotencyToken": hashlib.sha256(f"{name} {os.environ.get('RUN_ID', '')}".encode()).hexdigest()[:32],
    }
    build = str(aws("codebuild", "start-build", document=document)["build"]["id"])
    say(f"the build is {build}")
    try:
        wait(build, limit)
    except BaseException:
        # Also for SIGINT, by which the engine stops an order. One that has ended stays as it is.
        stop(build)
        raise


def wait(build: str, limit: float) -> None:
    """Waits for the build's end; failing, tells why and where its log is."""
    pause = number("BUILD_PAUSE", BUILD_PAUSE, 0.05, 300)
    until = time.monotonic() + limit
    told = ""
    while True:
        builds = aws("codebuild", "batch-get-builds", "--ids", build).get("builds", [])
        if not builds:
            raise Failure(f"CodeBuild does not know the build {build} any more")
        status, phase = str(builds[0].get("buildStatus")), str(builds[0].get("currentPhase"))
        if phase != told:
            told = phase
            say(f"the build is at {phase}")
        if status == "SUCCEEDED":
            return
        if status != "IN_PROGRESS":
            raise Failure(f"the build {build} ended as {status}: {reason(builds[0])}")
        if time.monotonic() >= until:
            raise Failure(f"the build {build} did not end within {limit:g} s: it is at {phase}")
        time.sleep(pause)


def reason(build: Dict[str, Any]) -> str:
    """What CodeBuild says of a build that failed, in a line."""
    parts = []
    for phase in build.get("phases", []):
        for context in phase.get("contexts", []):
            if context.get("message"):
                parts.append(f"{phase.get('phaseType')}: {context['message']}")
    logs = build.get("logs", {})
    if logs.get("groupName"):
        parts.append(f"its log is {logs.get('streamName')} in {logs['groupName']}")
    return "; ".join(parts) or "CodeBuild gives no reason"


def stop(build: str) -> None:
    """Ends the build, if it has not ended."""
    try:
        aws("codebuild", "stop-build", "--id", build)
    except AwsFailure as failure:
        say(f"the build {build} could not be stopped: {failure}")

"""An ECS service: which task definition it runs, giving it another, and whether that has become stable or why not.

`judge` is pure and decides; the rest reads, calls and tells. Orders are fresh processes that share nothing, so each
looks everything up again: the revision of a release is the newest of the family whose container has its image.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, List

from definition import arn, container, image_of, registration, short, with_image
from registry import find, moment
from release import Service, mark_of
from tools import AwsFailure, Failure, aws, number, report, say

# Revisions that are looked at, newest first, each with a call: more than anybody releases before going back.
LOOK_BACK = 50
# How long a deployment is waited for. Below the order's timeout, so that the script and not the engine ends it: the
# script can say why. 720 s fit into an order on Lambda, whose most is 840 s.
WAIT_LIMIT = 720
# Between two looks: a deployment takes minutes, and DescribeServices is shared by everything in the account.
WAIT_PAUSE = 15
# What is told of a deployment that failed: enough to see a pattern, short enough to be read.
EVENTS_TOLD, TASKS_TOLD = 10, 5
# ListTasks gives a page of at most 100, and DescribeTasks takes as many.
TASKS_ASKED = 100


@dataclass(frozen=True)
class Verdict:
    """What a look at a service says of a deployment."""

    state: str  # `stable`, `waiting` or `failed`
    text: str


def describe(service: Service) -> Dict[str, Any]:
    """The service as it is, of a kind that can be updated by its task definition."""
    answer = aws("ecs", "describe-services", "--cluster", service.cluster, "--services", service.service)
    if not answer.get("services"):
        reason = (answer.get("failures") or [{}])[0].get("reason", "MISSING")
        raise Failure(f"there is no service `{service.service}` in the cluster `{service.cluster}` ({reason})")
    found: Dict[str, Any] = answer["services"][0]
    if found.get("status") != "ACTIVE":
        raise Failure(f"the service `{service.service}` is {found.get('status')}, not ACTIVE")
    kind = found.get("deploymentController", {}).get("type", "ECS")
    if kind != "ECS":
        raise Failure(
            f"deployments of the service `{service.service}` are made by {kind}, and this updates services whose "
            "deployment controller is ECS"
        )
    return found


def definition(name: str) -> Dict[str, Any]:
    """A task definition with its tags."""
    return aws("ecs", "describe-task-definition", "--task-definition", name, "--include", "TAGS")


def revisions(family: str, most: int) -> List[str]:
    """ARNs of the family's active revisions, newest first."""
    # No words beside the family: the CLI pages by itself, and `--max-items` ends that.
    words = ["--family-prefix", family, "--status", "ACTIVE", "--sort", "DESC", "--max-items", str(most)]
    return [str(one) for one in aws("ecs", "list-task-definitions", *words).get("taskDefinitionArns", [])]


def register(service: Service, image: str) -> str:
    """The revision that is what the service runs but for the image: the newest one if it is that, else a new one."""
    running = definition(str(describe(service)["taskDefinition"]))
    wanted = with_image(running, service.container, image)
    for newest in revisions(wanted["family"], 1):
        there = definition(newest)
        # Compared as registered: a revision that differs in anything is not taken for it.
        if registration(there) == wanted:
            say(f"{short(newest)} is this already")
            return newest
    registered = aws("ecs", "register-task-definition", document=wanted)
    made = str(registered["taskDefinition"]["taskDefinitionArn"])
    say(f"registered {short(made)}: {short(arn(running))} with the image {image}")
    report("task_definition_registered", revision=short(made), image=image)
    return made


def released_revision(service: Service, image: str) -> Dict[str, Any]:
    """The newest revision with this image, which an earlier order should have registered."""
    family = str(definition(str(describe(service)["taskDefinition"]))["taskDefinition"]["family"])
    for one in revisions(family, LOOK_BACK):
        described = definition(one)
        if image_of(described, service.container) == image:
            return described
    raise Failure(f"none of the newest {LOOK_BACK} revisions of `{family}` has the image {image}: register one first")


def previous_revision(service: Service, repository: str, left: str, back_to: str) -> Dict[str, Any]:
    """The revision to go back to when the image tag `left` is given up: that of `back_to`, or the newest one before.

    It follows from `left` and not from what runs now, so it is the same however often it is asked. Revisions of
    releases that never ended well are passed over; those of images that are no release of ours are taken as they are.
    """
    family = str(definition(str(describe(service)["taskDefinition"]))["taskDefinition"]["family"])
    seen = False
    for one in revisions(family, LOOK_BACK):
        described = definition(one)
        names = [entry.get("name") for entry in described["taskDefinition"].get("containerDefinitions", [])]
        if service.container not in names:
            continue
        image = image_of(described, service.container)
        if back_to:
            if image == f"{repository}:{back_to}":
                return described
            continue
        if image == f"{repository}:{left}":
            seen = True
        elif seen and finished(service, repository, image):
            return described
    if back_to:
        raise Failure(f"none of the newest {LOOK_BACK} active revisions of `{family}` has the image of `{back_to}`")
    if not seen:
        raise Failure(f"none of the newest {LOOK_BACK} active revisions of `{family}` has the image of `{left}`")
    raise Failure(f"`{family}` has no active revision before that of `{left}` which ended well: nothing to go back to")


def finished(service: Service, repository: str, image: str) -> bool:
    """Whether an image is of a release that ended well, or of none of ours."""
    name, _, tag = image.rpartition(":")
    if name != repository or not service.released(tag):
        return True
    found = find(service, tag)
    return found is not None and mark_of(tag) in found.tags


def update(service: Service, revision: str) -> None:
    """Makes the service run the revision, unless it does or is about to."""
    now = describe(service)
    mine = deployment_of(now, revision)
    failed = mine is not None and mine.get("rolloutState") == "FAILED"
    if now["taskDefinition"] == revision and mine is not None and not failed:
        say(f"{service.service} is on {short(revision)} already")
        return
    words = ["--cluster", service.cluster, "--service", service.service, "--task-definition", revision]
    if now["taskDefinition"] == revision:
        # Without this an update to what the service has begins nothing.
        words.append("--force-new-deployment")
    aws("ecs", "update-service", *words)
    say(f"{service.service}: {short(str(now['taskDefinition']))} → {short(revision)}")
    report("service_updated", service=service.service, before=short(str(now["taskDefinition"])), now=short(revision))


def deployment_of(described: Dict[str, Any], revision: str) -> Any:
    """The deployment of a revision that counts: the primary one, else the newest. A forced one makes several."""
    never = datetime.min.replace(tzinfo=timezone.utc)
    mine = [one for one in described.get("deployments", []) if one.get("taskDefinition") == revision]
    return max(
        mine, key=lambda one: (one.get("status") == "PRIMARY", moment(one.get("createdAt")) or never), default=None
    )


def judge(described: Dict[str, Any], revision: str) -> Verdict:
    """Whether the service has become stable on the revision, may yet, or will not."""
    runs = short(str(described.get("taskDefinition")))
    if described.get("status") != "ACTIVE":
        return Verdict("failed", f"the service is {described.get('status')}")
    mine = deployment_of(described, revision)
    if mine is None:
        # After a rollback by the circuit breaker ECS forgets the deployment that failed.
        return Verdict(
            "failed",
            f"there is no deployment of {short(revision)} any more, the service is on {runs}: the circuit breaker "
            "went back to it, or somebody else updated the service",
        )
    if mine.get("rolloutState") == "FAILED":
        return Verdict("failed", str(mine.get("rolloutStateReason") or "the deployment failed"))
    if mine.get("status") != "PRIMARY":
        return Verdict("failed", f"another deployment took its place: the service goes to {runs}")
    wanted, running = int(mine.get("desiredCount", 0)), int(mine.get("runningCount", 0))
    pending, others = int(mine.get("pendingCount", 0)), len(described.get("deployments", [])) - 1
    state = f"{running} of {wanted} tasks run, {pending} pending, {mine.get('failedTasks', 0)} failed"
    if others:
        state += f", {others} older deployment{'s' if others > 1 else ''} not yet gone"
    # `COMPLETED` is ECS's word for a steady state. The counts hold off a task that died right after it.
    if mine.get("rolloutState") == "COMPLETED" and running == wanted and pending == 0 and not others:
        return Verdict("stable", state)
    return Verdict("waiting", state)


def stable(service: Service, revision: str) -> None:
    """Waits until the service is stable on the revision, for `WAIT_LIMIT` seconds; failing, tells why."""
    limit = number("WAIT_LIMIT", WAIT_LIMIT, 1, 79200)
    pause = number("WAIT_PAUSE", WAIT_PAUSE, 0.05, 300)
    until = time.monotonic() + limit
    told = ""
    while True:
        described = describe(service)
        verdict = judge(described, revision)
        if verdict.text != told:
            told = verdict.text
            say(f"{service.service} on {short(revision)}: {told}")
        if verdict.state == "stable":
            report("service_stable", service=service.service, revision=short(revision))
            return
        late = time.monotonic() >= until
        if verdict.state == "failed" or late:
            explain(service, described, revision)
            reason = verdict.text if verdict.state == "failed" else f"not within {limit:g} s: {verdict.text}"
            raise Failure(f"{service.service} did not become stable on {short(revision)}: {reason}")
        time.sleep(pause)


def explain(service: Service, described: Dict[str, Any], revision: str) -> None:
    """Tells what ECS knows of a deployment that failed: its events, the tasks that stopped, and where their logs are.
    That something cannot be read is told as well and hides nothing else."""
    mine = deployment_of(described, revision)
    begun = moment(mine.get("createdAt")) if mine else None
    events = []
    for event in described.get("events", []):
        at = moment(event.get("createdAt"))
        if begun is None or at is None or at >= begun:
            events.append(f"  {at:%H:%M:%S}  {event.get('message')}" if at else f"  {event.get('message')}")
    say("\n".join(["events of the service, newest first:", *(events[:EVENTS_TOLD] or ["  none"])]))
    try:
        stopped = stopped_tasks(service, revision)
    except AwsFailure as failure:
        say(f"its stopped tasks cannot be read: {failure}")
    else:
        say("\n".join([f"stopped tasks of {short(revision)}:", *(stopped or ["  none that ECS still knows"])]))
    try:
        options = container(definition(revision)["taskDefinition"], service.container).get("logConfiguration", {})
    except AwsFailure as failure:
        say(f"its log group cannot be read: {failure}")
    else:
        group = options.get("options", {}).get("awslogs-group")
        if group:
            say(f"what `{service.container}` wrote is in the log group {group}")


def stopped_tasks(service: Service, revision: str) -> List[str]:
    """A line for each task of the revision that stopped; ECS knows them for an hour."""
    words = ["--cluster", service.cluster, "--service-name", service.service, "--desired-status", "STOPPED"]
    tasks = aws("ecs", "list-tasks", *words, "--max-items", str(TASKS_ASKED)).get("taskArns", [])
    if not tasks:
        return []
    answer = aws("ecs", "describe-tasks", "--cluster", service.cluster, "--tasks", *tasks)
    lines = []
    for task in answer.get("tasks", []):
        if task.get("taskDefinitionArn") != revision:
            continue
        # While a task is on its way down it has no reason yet.
        name = str(task.get("taskArn")).rsplit("/", 1)[-1]
        line = f"  {name}: {task.get('stopCode', '')} {task.get('stoppedReason', '')}"
        for one in task.get("containers", []):
            ended = f"exit code {one['exitCode']}" if "exitCode" in one else ""
            reason = " ".join(part for part in (ended, one.get("reason", "")) if part)
            if reason:
                line += f"; {one.get('name')}: {reason}"
        lines.append(line)
    return lines[:TASKS_TOLD]

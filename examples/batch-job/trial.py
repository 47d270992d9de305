"""Runs one job of the new revision and waits for its end: the optional test of a release.

A test job that this script leaves, because its time is over or it is stopped, is terminated: nothing runs on that
nobody waits for.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional

from tools import AwsFailure, Failure, aws, number, report, say, variable

# How long the test may take, from its submission: with what comes before and after, an order on Lambda has 840 s.
LIMIT = 720
# Between two looks. A job takes at least half a minute to start.
PAUSE = 10


class Ended(Failure):
    """The job has ended by itself, badly: there is nothing left to terminate."""


def run(definition: Dict[str, Any]) -> None:
    """Submits a job of this revision and waits until it succeeds."""
    limit = number("TEST_LIMIT", LIMIT, 1, 79200)
    pause = number("TEST_PAUSE", PAUSE, 0.05, 300)
    queue = variable("JOB_QUEUE", "the queue for the test job")
    # The run and the order in it: whoever sees the job in Batch finds what it belongs to.
    name = "-".join(["test", os.environ.get("RUN_ID", "by-hand").replace(".", "-"), os.environ.get("ORDER_NUM", "0")])
    document: Dict[str, Any] = {
        "jobName": name[:128],
        "jobQueue": queue,
        # The revision, not the name: a newer one may be registered meanwhile.
        "jobDefinition": definition["jobDefinitionArn"],
        # Batch ends it as well, should this script be killed. Its least is 60 s.
        "timeout": {"attemptDurationSeconds": max(60, int(limit))},
    }
    command = os.environ.get("TEST_COMMAND", "").strip()
    if command:
        if "containerProperties" not in definition:
            raise Failure("`TEST_COMMAND` is for definitions with one container; leave it out")
        document["containerOverrides"] = {"command": ["sh", "-c", command]}
    job = str(aws("batch", "submit-job", document=document)["jobId"])
    say(f"submitted the test job {job} to {queue}")
    try:
        wait(job, limit, pause)
    except Ended:
        raise
    except BaseException:
        # Also for SIGINT, by which the engine stops an order.
        terminate(job)
        raise


def wait(job: str, limit: float, pause: float) -> None:
    """Waits for the job's end; failing, tells why and where its log is."""
    until = time.monotonic() + limit
    told = ""
    while True:
        jobs = aws("batch", "describe-jobs", "--jobs", job).get("jobs", [])
        if not jobs:
            raise Failure(f"Batch does not know the test job {job} any more")
        detail = jobs[0]
        status = str(detail.get("status"))
        if status != told:
            told = status
            say(f"the test job is {status}")
        if status == "SUCCEEDED":
            report("test_job_succeeded", job=job)
            return
        if status == "FAILED":
            raise Ended(f"the test job {job} failed: {reason(detail)}")
        if time.monotonic() >= until:
            raise Failure(f"the test job {job} did not end within {limit:g} s: it is {status}; {reason(detail)}")
        time.sleep(pause)


def reason(detail: Dict[str, Any]) -> str:
    """Everything that Batch says of how a job stands, in a line."""
    parts: List[str] = []
    if detail.get("statusReason"):
        parts.append(str(detail["statusReason"]))
    for label, one in containers(detail):
        if one.get("reason"):
            parts.append(f"{label}{one['reason']}")
        if one.get("exitCode") is not None:
            parts.append(f"{label}exit code {one['exitCode']}")
        if one.get("logStreamName"):
            parts.append(f"{label}log stream {one['logStreamName']} in {group(one)}")
    return "; ".join(parts) or "Batch gives no reason"


def containers(detail: Dict[str, Any]) -> List[Any]:
    """The containers of a job with what to call them."""
    if detail.get("container"):
        return [("", detail["container"])]
    tasks = (detail.get("ecsProperties") or {}).get("taskProperties") or []
    return [(f"{one.get('name')}: ", one) for task in tasks for one in task.get("containers", [])]


def group(one: Dict[str, Any]) -> str:
    """The log group that a container writes to; without another it is Batch's own."""
    options: Optional[Dict[str, Any]] = (one.get("logConfiguration") or {}).get("options")
    return (options or {}).get("awslogs-group") or "/aws/batch/job"


def terminate(job: str) -> None:
    """Ends the job, whatever it is at; one that has ended stays as it is."""
    try:
        aws("batch", "terminate-job", "--job-id", job, "--reason", "the release that it tested has given up on it")
    except AwsFailure as failure:
        say(f"the test job {job} could not be terminated: {failure}")

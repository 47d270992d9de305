"""What every script of this folder needs: the AWS CLI, settings, events, and a way to fail with one clear line.

It knows no AWS service; what the calls mean stands in the files beside it. The same file lies in the folders
`ecs-service` and `batch-job`, so that each can be copied alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional

# Attempts of one call: with the CLI's backoff (at most 20 s between two) a throttled call is given about two minutes,
# where its default of 3 gives up within seconds while a busy account is throttled for longer.
ATTEMPTS = "8"
# Longest that one call may take, in seconds: above all attempts together, so only a hung process meets it.
CALL_LIMIT = 240

# How the AWS CLI tells of an error of the service.
SERVICE_ERROR = re.compile(r"An error occurred \((?P<code>[\w.]+)\) when calling the (?P<operation>\w+) operation")


class Failure(Exception):
    """What a person should read: what is wrong, and the way out."""


class AwsFailure(Failure):
    """A call to AWS that failed; `code` is the service's own word for it, empty if the CLI itself failed."""

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code = code


def run(command: list[str], *, stdin: Optional[str] = None, capture: bool = True) -> str:
    """Runs a program to its end and returns its output. Without `capture` its output goes to the order's log."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            timeout=CALL_LIMIT if capture else None,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise Failure(f"`{command[0]}` is not on the PATH: the worker needs it, see README.md") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"`{' '.join(command[:3])}` did not end within {CALL_LIMIT} s") from None
    if done.returncode != 0:
        said = (done.stderr or "").strip() if capture else "its output is above"
        raise ProgramFailure(command, done.returncode, said)
    return done.stdout or ""


class ProgramFailure(Failure):
    """A program that ended with an error. Of its command line only the beginning is told, which says what it was."""

    def __init__(self, command: list[str], exit_code: int, said: str) -> None:
        super().__init__(f"`{' '.join(command[:3])}` ended with {exit_code}: {said}")
        self.said = said


def aws(service: str, operation: str, *arguments: str, document: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """One call of the AWS CLI, its answer as JSON. `document` is the input as JSON; it travels in a file, because
    definitions may hold what should not stand on a command line, and may be longer than one can be."""
    os.environ.setdefault("AWS_RETRY_MODE", "standard")
    os.environ.setdefault("AWS_MAX_ATTEMPTS", ATTEMPTS)
    # Version 2 of the CLI starts a pager otherwise.
    os.environ["AWS_PAGER"] = ""
    command = ["aws", service, operation, *arguments, "--output", "json"]
    try:
        if document is None:
            said = run(command)
        else:
            # In the order's own TMPDIR, readable by its user alone, and removed with it.
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(document, file)
                file.flush()
                said = run([*command, "--cli-input-json", f"file://{file.name}"])
    except ProgramFailure as failure:
        found = SERVICE_ERROR.search(failure.said)
        raise AwsFailure(found.group("code") if found else "", str(failure)) from None
    if not said.strip():
        return {}
    answer = json.loads(said)
    if not isinstance(answer, dict):
        raise Failure(f"`aws {service} {operation}` answered with something else than an object")
    return answer


def variable(name: str, meaning: str) -> str:
    """A variable that the job must set."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise Failure(f"the variable `{name}` is not set: {meaning}. Set it in `env_vars` of the order")
    return value


def number(name: str, default: float, least: float, most: float) -> float:
    """A variable that holds a number, or its default."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise Failure(f"the variable `{name}` cannot be `{text}`: a number from {least:g} to {most:g} is wanted")
    return value


def report(event_type: str, **data: Any) -> None:
    """Leaves an event: the engine puts it into the table of events. Without the engine there is no folder for it."""
    folder = os.environ.get("AWS_EXE_SYS_EVENTS_DIR", "")
    if folder:
        text = json.dumps({"event_type": event_type, "status": "done", **data})
        (Path(folder) / f"{event_type}.json").write_text(text, encoding="utf-8")


def say(text: str) -> None:
    """A line of the order's log, at once: the log is stored while the order runs."""
    print(text, flush=True)


def main(verbs: Mapping[str, Callable[[], None]], usage: str) -> int:
    """Runs the verb that the command line names. Exit codes: 0 done, 1 failed, 2 not understood, 130 stopped."""
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"]):
        say(usage)
        return 0
    if len(arguments) != 1 or arguments[0] not in verbs:
        given = " ".join(arguments) or "nothing"
        print(f"error: one of {', '.join(verbs)} is wanted, not `{given}`\n{usage}", file=sys.stderr)
        return 2
    try:
        verbs[arguments[0]]()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # The engine stops an order with SIGINT. Whatever had to be tidied up was, on the way here.
        print("error: stopped", file=sys.stderr)
        return 130
    return 0

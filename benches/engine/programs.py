"""Starts programs: the engine's binary, and others under callgrind. Whatever is started here is ended here."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator

from engine.results import NotMeasured

# Longest run; a hung one ends and says so.
RUN_SECONDS = 300
# Orders at once, as the tests have it; the default depends on the machine.
CONCURRENCY = "8"

# Begins to look at the process with this id; what it gives back ends that.
Sample = Callable[[int], Callable[[], None]]


@dataclass(frozen=True)
class Ended:
    """A program that has ended: what it printed, machine seconds, and its and its children's CPU seconds."""

    output: str
    wall: float
    cpu: float


def end(process: "subprocess.Popen[Any]", patience: float = 20) -> None:
    """Ends a process that was started in a session of its own, and its group; one that has ended is left alone."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def run(
    command: list[str],
    seconds: float = RUN_SECONDS,
    sample: Sample | None = None,
    variables: dict[str, str] | None = None,
) -> Ended:
    """Runs a program to its end, which must be a good one, and samples it meanwhile. Variables are added to our own."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        before = os.times()
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, **(variables or {})},
        )
        stop = sample(process.pid) if sample else None
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"`{shown(command)}` took longer than {seconds:.0f} s") from None
        finally:
            if stop:
                stop()
            end(process)
        wall = time.monotonic() - started
        after = os.times()
        output.seek(0)
        errors.seek(0)
        printed = output.read().decode(errors="replace")
        if status != 0:
            told = (errors.read().decode(errors="replace") + printed).strip()[-600:]
            raise NotMeasured(f"`{shown(command)}` ended with {status}: {told}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Ended(printed, wall, cpu)


def shown(command: list[str]) -> str:
    """The command as a person would write it, without paths that say nothing."""
    return " ".join(Path(word).name if word.startswith("/") else word for word in command)


@dataclass(frozen=True)
class AwsExe:
    """A binary of the engine."""

    path: Path

    def run_job(
        self,
        job: Any,
        folder: Path,
        seconds: float = RUN_SECONDS,
        sample: Sample | None = None,
    ) -> Ended:
        """Runs a job on an embedded AWS of its own; it must succeed."""
        return run([str(self.path), "run", "--json", str(written(folder / "job.json", job))], seconds, sample)

    @contextlib.contextmanager
    def local(
        self, folder: Path, record: Path | None = None, faults: Any = None, skip_idle: bool = False
    ) -> Iterator["Local"]:
        """An embedded AWS that stays up meanwhile."""
        command = [str(self.path), "local", "--port", "0", "--json", "--concurrency", CONCURRENCY]
        if record:
            command += ["--record", str(record)]
        if faults:
            command += ["--faults", str(written(folder / "faults.json", faults))]
        if skip_idle:
            command.append("--skip-idle")
        with (folder / "local.err").open("wb") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        try:
            assert process.stdout is not None
            # It says so when it is ready, or ends; either way this returns.
            line = process.stdout.readline().decode()
            if not line:
                raise NotMeasured(f"`aws-exe local` did not start: {(folder / 'local.err').read_text()[-600:]}")
            yield Local(self.path, json.loads(line)["endpoint"])
        finally:
            end(process)
            if process.stdout:
                process.stdout.close()


@dataclass(frozen=True)
class Local:
    """An embedded AWS that is up."""

    path: Path
    endpoint: str

    def verb(self, name: str, *arguments: str, seconds: float = RUN_SECONDS) -> Any:
        """What a verb of the command line answers."""
        ended = run([str(self.path), name, "--endpoint", self.endpoint, "--json", *arguments], seconds)
        return json.loads(ended.output.strip().splitlines()[-1])["result"]


def written(path: Path, value: Any) -> Path:
    """Writes JSON to a file."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def need_callgrind() -> None:
    """Callgrind is there."""
    if shutil.which("valgrind") is None:
        raise NotMeasured("`valgrind` is missing, whose callgrind counts instructions: `apt-get install valgrind`")


def collected(file: Path) -> int:
    """Instructions of all of a callgrind file."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        totals = [match for line in lines if (match := re.match(r"totals: (\d+)", line))]
    if not totals:
        raise NotMeasured(f"callgrind wrote no total to `{file.name}`")
    return sum(int(match[1]) for match in totals)


def callgrind(file: Path) -> list[str]:
    """What stands before a command whose instructions are to be counted."""
    need_callgrind()
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"]


def instructions(command: list[str], variables: dict[str, str] | None = None) -> int:
    """Instructions of a program from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "callgrind.out"
        run([*callgrind(file), *command], variables=variables)
        return collected(file)

"""P7: what a function takes before it asks for its first event."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

from engine.context import Context
from engine.figures import megabytes, number
from engine.programs import callgrind, collected, end, need_callgrind
from engine.results import Check, Measure, NotMeasured, Table

ROLES = ("init_job", "ssm_config", "orchestrator", "watchdog_check", "worker")
MOST_INSTRUCTIONS = 30
MOST_MB = 16
SECONDS = 120
NEXT = b"GET /2018-06-01/runtime/invocation/next "

# As in the stack; names only, nothing is called.
VARIABLES = {
    "ACCOUNT_ID": "000000000000",
    "CODEBUILD_PROJECT": "exe-sys-worker",
    "DONE_BUCKET": "exe-sys-done",
    "INTERNAL_BUCKET": "exe-sys-internal",
    "LOCKS_TABLE": "exe-sys-locks",
    "ORDERS_TABLE": "exe-sys-orders",
    "ORDER_EVENTS_TABLE": "exe-sys-order-events",
    "SSM_DOCUMENT": "exe-sys-worker",
    "WATCHDOG_SFN": "arn:aws:states:us-east-1:000000000000:stateMachine:exe-sys-watchdog",
    "WORKER_LAMBDA": "exe-sys-worker",
}


def environment(role: str, port: int, folder: str) -> dict[str, str]:
    """What Lambda sets, and the stack."""
    own = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_SESSION_TOKEN": "none",
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": f"exe-sys-{role.replace('_', '-')}",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "HOME": folder,
        "PATH": os.environ.get("PATH", ""),
        "TMPDIR": folder,
        "_HANDLER": role,
    }
    return own | {f"AWS_EXE_SYS_{name}": value for name, value in VARIABLES.items()}


@contextlib.contextmanager
def started(binary: Path, role: str, before: list[str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The function as it stands when it has asked for its first event: it is given none."""
    with socket.create_server(("127.0.0.1", 0)) as server, (folder / "errors").open("wb") as errors:
        server.settimeout(SECONDS)
        process = subprocess.Popen(
            [*before, str(binary), "function", role],
            env=environment(role, server.getsockname()[1], str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
        try:
            with _connection(server, process, role, folder / "errors") as connection:
                connection.settimeout(SECONDS)
                asked = connection.recv(65536)
                if not asked.startswith(NEXT):
                    raise NotMeasured(f"`{role}` asked for something else first: {asked[:80]!r}")
                yield process
        finally:
            end(process)


def _connection(server: socket.socket, process: "subprocess.Popen[bytes]", role: str, errors: Path) -> socket.socket:
    try:
        return server.accept()[0]
    except TimeoutError:
        told = errors.read_text(errors="replace")[-400:]
        raise NotMeasured(f"`{role}` did not ask for an event ({process.poll()}): {told}") from None


def instructions(binary: Path, role: str) -> int:
    """From its start to the question, and what it does when it is told to end, which is little."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "callgrind.out"
        with started(binary, role, callgrind(file), folder) as process:
            # Callgrind writes its totals when the program ends, by a signal as well.
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)
        return collected(file)


def memory(binary: Path, role: str) -> tuple[int, int]:
    """Bytes that are resident when it asks, and the most that were."""
    with tempfile.TemporaryDirectory() as name, started(binary, role, [], Path(name)) as process:
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":" in line
        )
        resident, most = (int(fields[field].split()[0]) * 1024 for field in ("VmRSS", "VmHWM"))
        return resident, most


def measure(context: Context) -> Measure:
    result = Measure(
        "P7",
        "Cold start of a function",
        "From exec to the first `GET …/invocation/next`, which a stand-in for Lambda's Runtime API answers "
        "with nothing. Instructions by callgrind, in user space; memory without it, `VmRSS` and `VmHWM` then.",
    )
    binary = context.lean or context.exe.path
    if context.lean is None:
        result.notes.append("Of the binary with the embedded AWS: the lean one, which Lambda runs, was not given.")
    try:
        need_callgrind()
        counts = {role: megabytes(instructions(binary, role)) for role in ROLES}
    except NotMeasured as error:
        result.unmeasured.append(f"instructions: {error}")
        counts = {}
    used = {role: memory(binary, role) for role in ROLES}
    if counts:
        worst = max(counts, key=lambda role: counts[role])
        result.checks.append(Check(f"instructions, the most, `{worst}`", counts[worst], MOST_INSTRUCTIONS, "M", 1))
    worst = max(used, key=lambda role: used[role][0])
    most = megabytes(used[worst][0])
    result.checks.append(Check(f"resident memory, the most, `{worst}`", most, MOST_MB, "MB", 1))
    rows = [
        [
            f"`{role}`",
            number(counts[role], 1) if role in counts else "not measured",
            *(number(megabytes(count), 1) for count in used[role]),
        ]
        for role in ROLES
    ]
    result.tables.append(Table("", ["function", "M instructions", "resident MB", "at most MB"], rows))
    return result

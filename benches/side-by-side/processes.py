"""Running a tool's command: its wall time, a limit, and nothing of it left afterwards."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Set

# What an ended command gets before it is killed: time to stop its servers and workers.
GRACE = 10.0
# From linux/prctl.h: orphans below this process become its children, so that none can get away.
PR_SET_CHILD_SUBREAPER = 36
TAIL_LINES = 15
TAIL_COLUMNS = 300
TAIL_BYTES = 64 * 1024


class CommandFailed(Exception):
    """A short command, such as one for a version, that did not succeed."""


@dataclass(frozen=True)
class Ended:
    seconds: float
    # None when it was ended at its limit.
    code: Optional[int]
    # Processes that were still there after the command had ended, and had to be killed.
    left: int


def adopt_orphans() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "failed to become the parent of orphans")


def run(command: List[str], folder: Path, environment: Dict[str, str], output: Path, limit: float) -> Ended:
    """Runs a command in a process group of its own, both outputs into a file. The time ends with the command's own
    process; what it left is waited for and killed outside of it."""
    with open(output, "wb") as file:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        late = threading.Event()

        def stop() -> None:
            late.set()
            signal_group(process.pid, signal.SIGTERM)

        # `Popen.wait` with a timeout looks in steps of up to 50 ms, which would be in the figures.
        timers = [
            threading.Timer(limit, stop),
            threading.Timer(limit + GRACE, signal_group, (process.pid, signal.SIGKILL)),
        ]
        for timer in timers:
            timer.daemon = True
            timer.start()
        try:
            code = process.wait()
            seconds = time.perf_counter() - start
        except BaseException:
            # Ctrl-C: the command is in a group of its own and has not heard of it.
            signal_group(process.pid, signal.SIGTERM)
            raise
        finally:
            for timer in timers:
                timer.cancel()
            left = end_children()
    return Ended(seconds, None if late.is_set() else code, left)


def signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def end_children() -> int:
    """Waits until no child is left, orphans of commands included; kills those that do not end in time. How many those
    were."""
    done = threading.Event()
    killed: Set[int] = set()

    def kill() -> None:
        wait = GRACE
        # What a killed process had started becomes a child only afterwards, so it is looked for again.
        while not done.wait(wait):
            for child in descendants(os.getpid()):
                try:
                    os.kill(child, signal.SIGKILL)
                    killed.add(child)
                except ProcessLookupError:
                    pass
            wait = 0.2

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass
    finally:
        done.set()
        killer.join()
    return len(killed)


def descendants(root: int) -> List[int]:
    """All processes below one."""
    children: Dict[int, List[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # The program's name, in parentheses, may hold anything; the parent is the second field after it.
        children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found: List[int] = []
    ahead = [root]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def tail(path: Path) -> List[str]:
    """The last lines of a file that are not empty, each as far as one wants to read it."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip()[:TAIL_COLUMNS] for line in text.splitlines() if line.strip()][-TAIL_LINES:]


def read(command: List[str]) -> str:
    """What a short command prints."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    if done.returncode != 0:
        shown = " ".join(command)
        raise CommandFailed(f"`{shown}` ended with {done.returncode}\n{done.stderr.strip()}")
    return done.stdout

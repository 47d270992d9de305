"""What the smoke tests share: counting checks, and starting and ending `aws-exe local`. What is checked is theirs."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, List

# Ready line and end: each has far more than it needs, so that only something that hangs is late.
READY_LIMIT, END_LIMIT = 60, 60

differences: List[str] = []
checks = 0


def check(what: str, ok: bool, found: Any = None) -> bool:
    """Counts a check; remembers and prints it when it fails."""
    global checks
    checks += 1
    if not ok:
        line = what if found is None else f"{what}; found {found!r}"
        differences.append(line)
        print(f"  DIFFERS  {line}")
    return ok


def equal(what: str, found: Any, wanted: Any) -> bool:
    return check(f"{what} should be {wanted!r}", found == wanted, found)


def keys_are(what: str, found: Iterable[str], wanted: Iterable[str]) -> bool:
    """The names that are there are exactly these."""
    missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    return check(f"{what}: missing {missing}, unexpected {more}", not missing and not more)


def conclusion() -> int:
    """Says how it ended; the exit code."""
    if differences:
        print(f"\n{len(differences)} of {checks} checks differ:")
        for line in differences:
            print(f"  - {line}")
        return 1
    print(f"\nall {checks} checks hold")
    return 0


def start(binary: Path) -> "subprocess.Popen[str]":
    """Starts it on a free port, in a session of its own, so that its children can be told from everybody else's later."""
    return subprocess.Popen(
        [str(binary), "local", "--port", "0"], stdout=subprocess.PIPE, universal_newlines=True, start_new_session=True
    )


def ready(server: "subprocess.Popen[str]") -> str:
    """The endpoint from the ready line."""
    signal.signal(signal.SIGALRM, late("the ready line"))
    signal.alarm(READY_LIMIT)
    assert server.stdout is not None
    line = server.stdout.readline().strip()
    signal.alarm(0)
    match = re.fullmatch(r"ready: (http://127\.0\.0\.1:[0-9]+)", line)
    if not match:
        sys.exit(f"the ready line was {line!r}")
    return match[1]


def late(what: str) -> Callable[..., None]:
    def handler(*_: Any) -> None:
        sys.exit(f"{what} did not come in time")

    return handler


def end(server: "subprocess.Popen[str]") -> None:
    """SIGTERM ends it cleanly, children included."""
    print("SIGTERM")
    server.send_signal(signal.SIGTERM)
    try:
        equal("exit code after SIGTERM", server.wait(END_LIMIT), 0)
    except subprocess.TimeoutExpired:
        check(f"SIGTERM should end it within {END_LIMIT} s", False)
        server.kill()
        server.wait()
    if Path("/proc/self/stat").exists():
        equal("processes that are left", processes_of_session(server.pid), [])


def processes_of_session(session: int) -> List[str]:
    """Command lines of the processes of a session; zombies do not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rsplit(")", 1)[1].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " ").strip())
        except OSError:
            continue  # It ended while we looked.
    return found

"""Many orders through the real binary, and the memory of all processes together."""

import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Callable

from engine.context import Context, tell
from engine.figures import megabytes, number
from engine.results import Check, Measure, NotMeasured, Table
from engine.shapes import chain, fan

MOST_MIB = 1024
EVERY_SECONDS = 0.5
SECONDS = 400


def children_of(process: int) -> list[int]:
    """The process and all below it."""
    below: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The name is in parentheses and may have spaces.
                parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            below[parent].append(int(folder.name))
    found = [process]
    for one in found:
        found += below[one]
    return found


def resident(process: int) -> tuple[int, bool]:
    """Bytes of memory, shared pages by share; where nobody may see that, all resident pages, and `False`."""
    folder = Path(f"/proc/{process}")
    try:
        return _kibibytes(folder / "smaps_rollup", "Pss"), True
    except PermissionError:
        pass
    except (OSError, KeyError):
        return 0, True
    try:
        return _kibibytes(folder / "status", "VmRSS"), False
    except (OSError, KeyError):
        return 0, True


def _kibibytes(file: Path, field: str) -> int:
    lines = file.read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields[field].split()[0]) * 1024


class Sampler:
    """Looks at the memory of a process and all below it, again and again."""

    def __init__(self) -> None:
        self.most = 0
        self.processes = 0
        self.is_exact = True
        self.samples = 0
        self._ended = threading.Event()

    def watch(self, process: int) -> Callable[[], None]:
        """Begins; what is given back ends it."""
        thread = threading.Thread(target=self._sample, args=(process,), daemon=True)
        thread.start()

        def stop() -> None:
            self._ended.set()
            thread.join()

        return stop

    def _sample(self, process: int) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            each = [resident(one) for one in children_of(process)]
            total = sum(count for count, _ in each)
            self.samples += 1
            self.is_exact = self.is_exact and all(exact for _, exact in each)
            if total > self.most:
                self.most, self.processes = total, len(each)


def measure(context: Context) -> Measure:
    sizes = context.sizes
    result = Measure(
        "scale",
        f"A fan of {sizes.scale_fan:,} and a chain of {sizes.scale_chain:,} through the binary",
        "`aws-exe run`, with nothing skipped or recorded. Memory is the most of all processes together (`Pss`), looked "
        f"at every {EVERY_SECONDS:g} s.",
    )
    rows = []
    for name, job in (("fan", fan(sizes.scale_fan)), ("chain", chain(sizes.scale_chain))):
        orders = len(job["orders"])
        sampler = Sampler()
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            try:
                ended = context.exe.run_job(job, Path(folder), seconds=SECONDS, sample=sampler.watch)
            except NotMeasured as error:
                result.unmeasured.append(f"{name} of {orders:,}: {error}")
                continue
            tell(f"{name} of {orders:,}: {time.monotonic() - started:.1f} s")
        if not sampler.samples:
            result.unmeasured.append(f"memory of the {name}: it ended before anybody looked")
            continue
        mib = sampler.most / 2**20
        result.checks.append(Check(f"{name} of {orders:,}, memory of all processes", mib, MOST_MIB, "MiB", 0))
        rows.append(
            [
                f"{name} {orders:,}",
                number(ended.wall, 1),
                number(ended.cpu, 1),
                f"{number(mib, 0)} ({megabytes(sampler.most):,.0f} MB)",
                str(sampler.processes),
            ]
        )
        if not sampler.is_exact:
            note = "Pages that workers share are counted for each of them: only root may see more of a worker."
            if note not in result.notes:
                result.notes.append(note)
    columns = ["job", "wall s", "CPU s", "most MiB", "processes then"]
    result.tables.append(Table("", columns, rows))
    result.notes.append("Wall is of this machine at this time, and of no other.")
    return result

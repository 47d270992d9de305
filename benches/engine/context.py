"""What all measures share: the binaries, how large the jobs are, and the runs that several of them read."""

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine import record
from engine.programs import AwsExe, written
from engine.record import Call
from engine.results import NotMeasured
from engine.shapes import AS_THEY_COME, SCRIPTS, SHAPES

# A fan of 5,000 that takes longer is left out.
LARGEST_SECONDS = 240
# What is waited for is a line of a file, for which there is no other condition.
LOOKS_SECONDS = 60
LOOKS_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class Sizes:
    """How many orders, and of what."""

    counted: tuple[int, ...] = (10, 100, 1_000)
    largest_fan: int = 5_000
    extremes: tuple[int, ...] = (100, 1_000)
    chain: int = 40
    chain_runs: int = 5
    spawned: int = 1_000
    rounds: int = 3
    repository_bytes: int = 50_000_000
    repository_orders: int = 1_000
    pure: tuple[int, ...] = (10, 100, 1_000, 9_999)
    scale_fan: int = 5_000
    scale_chain: int = 500


QUICK = Sizes(
    counted=(10, 100),
    largest_fan=200,
    extremes=(100,),
    chain_runs=3,
    spawned=100,
    repository_bytes=5_000_000,
    repository_orders=50,
    pure=(10, 100, 1_000),
    scale_fan=200,
    scale_chain=50,
)

Key = tuple[str, int, str]


@dataclass
class Context:
    """See above. `exe` has the embedded AWS, `lean` is what Lambda runs, `pure` the benchmark of the pure parts."""

    exe: AwsExe
    lean: Path | None
    pure: Path | None
    sizes: Sizes
    _runs: dict[Key, list[Call]] = field(default_factory=dict)
    _failed: dict[Key, str] = field(default_factory=dict)

    def calls(self, shape: str, orders: int, delivery: str = AS_THEY_COME) -> list[Call]:
        """The calls of a run of this job, which is run when it is first asked for."""
        key = (shape, orders, delivery)
        if key in self._failed:
            raise NotMeasured(self._failed[key])
        if key not in self._runs:
            try:
                self._runs[key] = self._run(*key)
            except NotMeasured as error:
                self._failed[key] = f"{shape} of {orders:,}, {delivery}: {error}"
                raise NotMeasured(self._failed[key]) from None
        return self._runs[key]

    def _run(self, shape: str, orders: int, delivery: str) -> list[Call]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file = folder / "record.jsonl"
            job = str(written(folder / "job.json", SHAPES[shape](orders)))
            started = time.monotonic()
            with self.exe.local(folder, file, SCRIPTS[delivery], skip_idle=True) as local:
                local.verb("submit", "--wait", job, seconds=LARGEST_SECONDS)
                wait_for_looks(file)
            tell(f"{shape} of {orders:,}, {delivery}: {time.monotonic() - started:.1f} s")
            return record.read(file)


def wait_for_looks(file: Path) -> None:
    """Waits until each watchdog has looked: the run ends without them, but they are called all the same.

    They look when the time of their orders is over, to which the embedded AWS skips.
    """
    executions = record.Executions()
    deadline = time.monotonic() + LOOKS_SECONDS
    with file.open(encoding="utf-8") as lines:
        rest = ""
        while not executions.have_looked:
            if time.monotonic() > deadline:
                raise NotMeasured(f"watchdogs did not look within {LOOKS_SECONDS} s")
            # The last line may be half written.
            *whole, rest = (rest + lines.read()).split("\n")
            for line in whole:
                executions.see(record.parse(line))
            time.sleep(LOOKS_EVERY_SECONDS)


def tell(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)

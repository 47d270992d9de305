"""P6: what the engine takes on top of the processes that it starts."""

import os
import statistics
import tempfile
import time
from pathlib import Path

from engine.context import Context, tell
from engine.figures import median_and_range
from engine.programs import Ended
from engine.results import Check, Measure, Table
from engine.shapes import fan

MOST = 6


def loop(count: int) -> Ended:
    """Starts as many shells, one after the other, with as little around them as there can be."""
    before = os.times()
    started = time.monotonic()
    for _ in range(count):
        # The C library's own, which does not copy this process.
        _, status = os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {}), 0)
        assert status == 0
    wall = time.monotonic() - started
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    return Ended("", wall, cpu)


def measure(context: Context) -> Measure:
    sizes = context.sizes
    result = Measure(
        "P6",
        f"{sizes.spawned:,} independent `sh -c :` ÷ a bare loop that starts as many",
        "In turns, in one run. The engine: `aws-exe run` from its start to its end, submission and embedded AWS "
        "included. The loop: `posix_spawn` and `waitpid`, one shell at a time. CPU seconds are user "
        "and system of all processes.",
    )
    engines, loops = [], []
    with tempfile.TemporaryDirectory() as name:
        for turn in range(sizes.rounds):
            engines.append(context.exe.run_job(fan(sizes.spawned), Path(name)))
            loops.append(loop(sizes.spawned))
            tell(f"turn {turn + 1}: {engines[-1].wall:.1f} s, {loops[-1].wall:.1f} s")
    walls = [engine.wall / bare.wall for engine, bare in zip(engines, loops)]
    cpus = [engine.cpu / bare.cpu for engine, bare in zip(engines, loops)]
    what = f"wall, median of {sizes.rounds} turns"
    result.checks.append(Check(what, statistics.median(walls), MOST, "times"))
    rows = [
        ["wall", "–", "–", median_and_range(walls)],
        [
            "CPU seconds",
            median_and_range([engine.cpu for engine in engines]),
            median_and_range([bare.cpu for bare in loops]),
            median_and_range(cpus),
        ],
    ]
    result.tables.append(Table("Median and range", ["", "engine", "loop", "ratio"], rows))
    return result

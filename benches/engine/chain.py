"""P5: how soon the next order starts, on a warm embedded AWS."""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from engine.context import Context
from engine.figures import median_and_range
from engine.results import Check, Measure, Table
from engine.programs import written
from engine.shapes import chain

MOST_MS = 15
# Milliseconds an order, as published for them; on two cores.
OTHERS = "Hatchet 31, Windmill 52–110, Temporal 74, Prefect 122, Airflow 2,906"


def per_order_ms(rows: list[dict[str, Any]]) -> float:
    """From the first start to the last end, an order."""
    first = min(float(row["dispatched_at"]) for row in rows)
    last = max(float(row["ended_at"]) for row in rows)
    return (last - first) / len(rows) * 1000


def measure(context: Context) -> Measure:
    sizes = context.sizes
    result = Measure(
        "P5",
        f"A chain of {sizes.chain} light orders, warm",
        "On one embedded AWS: one chain to warm up, then those that count, each submitted when the one before has "
        f"ended. From the first `dispatched_at` to the last `ended_at`, divided by {sizes.chain}.",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = str(written(folder / "job.json", chain(sizes.chain)))
        times = []
        with context.exe.local(folder) as local:
            for _ in range(sizes.chain_runs + 1):
                run = local.verb("submit", "--wait", job)["run_id"]
                times.append(per_order_ms(local.verb("status", run)["orders"]))
    warm = times[1:]
    what = f"wall an order, median of {len(warm)}"
    result.checks.append(Check(what, statistics.median(warm), MOST_MS, "ms", 1))
    rows = [["warm, median and range", median_and_range(warm, 1)], ["the first, cold", f"{times[0]:.1f}"]]
    result.tables.append(Table("", ["", "ms an order"], rows))
    result.notes.append(f"Published for others on 2 cores, and not measured here: {OTHERS}.")
    return result

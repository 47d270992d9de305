"""How much of the machine others had while this measured: what they take is missing in everybody's times."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

# More than a resting system needs, less than any other work.
QUIET = 0.1


@dataclass(frozen=True)
class Look:
    """CPU seconds since the machine started: all, the used ones, and those of this process and its children."""

    total: float
    busy: float
    own: float


def look() -> Look:
    total, busy = totals(Path("/proc/stat").read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
    own = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return Look(total, busy, own)


def totals(stat: str, ticks: int) -> Tuple[float, float]:
    """All and used seconds, of the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
    What guests use is in user and nice already."""
    fields = [int(field) / ticks for field in stat.partition("\n")[0].split()[1:9]]
    return sum(fields), sum(fields) - fields[3] - fields[4]


def share_of_others(before: Look, after: Look) -> float:
    """0 to 1 of all the machine's CPU time between two looks."""
    total = after.total - before.total
    others = (after.busy - before.busy) - (after.own - before.own)
    return min(1.0, max(0.0, others / total)) if total > 0 else 0.0

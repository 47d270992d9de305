"""Figures from measured times. All pure.

Every list has an entry a round, in the order of rounds: what is compared was measured within the same round.
"""

import statistics
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple


@dataclass(frozen=True)
class Summary:
    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Median and range."""
    return Summary(statistics.median(values), min(values), max(values))


def pairs(values: Sequence[float], others: Sequence[float]) -> List[Tuple[float, float]]:
    if len(values) != len(others):
        raise ValueError(f"{len(values)} rounds cannot be compared with {len(others)}")
    return list(zip(values, others))


def per_task(walls: Sequence[float], ones: Sequence[float], count: int) -> List[float]:
    """What each further task costs, in seconds: the time beyond a job of one task. Noise may make it negative."""
    return [(wall - one) / (count - 1) for wall, one in pairs(walls, ones)]


def ratio(values: Sequence[float], base: Sequence[float]) -> Optional[float]:
    """The median of the rounds' ratios. None when a time is not positive in some round: then noise is as large as what
    was measured, and a ratio would say nothing."""
    if any(time <= 0 for time in [*values, *base]):
        return None
    return statistics.median(value / below for value, below in pairs(values, base))

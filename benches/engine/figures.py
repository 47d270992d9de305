"""What is done with numbers, and how they are shown. Pure."""

import math
import statistics
from typing import Sequence

Points = Sequence[tuple[int, float]]


def exponent(points: Points) -> float | None:
    """The slope of a straight line through the logarithms of the points; `None` for fewer than two sizes."""
    known = [(math.log(size), math.log(value)) for size, value in points if size > 0 and value > 0]
    if len({size for size, _ in known}) < 2:
        return None
    middle_x = statistics.fmean(x for x, _ in known)
    middle_y = statistics.fmean(y for _, y in known)
    across = sum((x - middle_x) ** 2 for x, _ in known)
    return sum((x - middle_x) * (y - middle_y) for x, y in known) / across


def exponent_beyond_constant(small: float, medium: float, large: float, step: float = 10) -> float | None:
    """The exponent p of `a + b·N^p`, whatever `a` is, from values at three sizes, each `step` times the one before."""
    if large <= medium or medium <= small:
        return None
    return math.log((large - medium) / (medium - small), step)


def per_more(small: tuple[int, float], large: tuple[int, float]) -> float:
    """What one more costs: the difference quotient."""
    return (large[1] - small[1]) / (large[0] - small[0])


def departure(values: Sequence[float]) -> float:
    """How far the values are from the middle of their range, as a share of it: 0.05 stands for ±5 %."""
    low, high = min(values), max(values)
    return (high - low) / (high + low) if high + low else 0.0


def median_and_range(values: Sequence[float], digits: int = 2) -> str:
    """`2.50 (2.10–3.00)`."""
    return (
        f"{number(statistics.median(values), digits)} "
        f"({number(min(values), digits)}–{number(max(values), digits)})"
    )


def number(value: float, digits: int = 2) -> str:
    """With commas between thousands; whole numbers without decimals where they have none."""
    return f"{value:,.{digits}f}"


def megabytes(count: float) -> float:
    """Millions of bytes."""
    return count / 1_000_000

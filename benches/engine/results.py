"""What a measure found: figures against aims, and tables."""

from dataclasses import dataclass, field
from typing import Any

from engine.figures import number


@dataclass(frozen=True)
class Check:
    """A figure against the aim that it should not exceed; without one it is only shown."""

    what: str
    value: float
    most: float | None
    unit: str = ""
    digits: int = 2

    @property
    def is_met(self) -> bool:
        """Figures are held against aims as they are, not as they are rounded."""
        return self.most is None or self.value <= self.most

    @property
    def figure(self) -> str:
        return f"{number(self.value, self.digits)} {self.unit}".strip()

    @property
    def aim(self) -> str:
        if self.most is None:
            return "–"
        # As it was set: 7.5, and 8,000 without decimals.
        return f"≤ {self.most:,g} {self.unit}".strip()

    @property
    def verdict(self) -> str:
        if self.most is None:
            return "no aim"
        if self.is_met:
            return "met"
        over = (self.value / self.most - 1) * 100 if self.most else float("inf")
        # Less than a tenth of a percent over is over as well.
        return f"**missed by {max(over, 0.1):.1f} %**"

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "value": self.value, "most": self.most, "unit": self.unit, "met": self.is_met}


@dataclass(frozen=True)
class Table:
    """Rows of texts below their columns."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass
class Measure:
    """A measure of the table in `benches/README.md`."""

    key: str
    title: str
    how: str
    checks: list[Check] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # What could not be measured, each with the way out.
    unmeasured: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "title": self.title,
            "checks": [check.as_json() for check in self.checks],
            "tables": [vars(table) for table in self.tables],
            "notes": self.notes,
            "unmeasured": self.unmeasured,
        }


class NotMeasured(Exception):
    """A figure that could not be had here; the text says why, and the way out."""

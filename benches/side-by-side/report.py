"""What was measured, as Markdown and as JSON. All pure."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

import figures
from work import CHAIN, FAN, ONE, Shape

SHAPES = [ONE, CHAIN, FAN]
# What the others are compared with, in this order.
BASES = ["floor", "aws-exe"]
TITLES = {
    "one": "A job of one task: start-up",
    "chain": f"{CHAIN.count} light tasks in a chain",
    "fan": f"{FAN.count} light tasks in a fan",
}


@dataclass
class Result:
    """What became of one tool."""

    name: str
    configuration: str
    version: str = ""
    packages: List[str] = field(default_factory=list)
    # Seconds a round, by shape.
    walls: Dict[str, List[float]] = field(default_factory=dict)
    # Why there are no figures, by shape; under `start` why there are none at all.
    problems: Dict[str, str] = field(default_factory=dict)
    # Processes that had to be killed after its commands had ended.
    left: int = 0

    def problem(self, shape: Shape) -> Optional[str]:
        # Without the job of one task there is nothing to subtract.
        return self.problems.get("start") or self.problems.get(ONE.name) or self.problems.get(shape.name)

    def measured(self, shape: Shape) -> Optional[List[float]]:
        return None if self.problem(shape) else self.walls.get(shape.name)

    def per_task(self, shape: Shape) -> Optional[List[float]]:
        walls, ones = self.measured(shape), self.measured(ONE)
        if walls is None or ones is None or shape.count == 1:
            return None
        return figures.per_task(walls, ones, shape.count)


def ratios(mine: Optional[List[float]], bases: Dict[str, Optional[List[float]]]) -> Dict[str, Optional[float]]:
    return {
        name: figures.ratio(mine, base) if mine is not None and base is not None else None
        for name, base in bases.items()
    }


def figures_of(results: List[Result], result: Result, shape: Shape) -> Optional[Dict[str, Any]]:
    """The figures of a tool that ran every task of a shape as it should in every round."""
    walls = result.measured(shape)
    if walls is None:
        return None
    bases = {name: next((other for other in results if other.name == name), None) for name in BASES}
    found: Dict[str, Any] = {
        "wall_s": vars(figures.summary(walls)),
        "wall_ratio_to": ratios(walls, {name: base and base.measured(shape) for name, base in bases.items()}),
    }
    tasks = result.per_task(shape)
    if tasks is not None:
        found["per_task_s"] = vars(figures.summary(tasks))
        found["per_task_ratio_to"] = ratios(
            tasks, {name: base and base.per_task(shape) for name, base in bases.items()}
        )
    return found


def as_json(about: Dict[str, Any], results: List[Result]) -> Dict[str, Any]:
    tools = {}
    for result in results:
        tools[result.name] = {
            "configuration": result.configuration,
            "version": result.version,
            "packages": result.packages,
            "problems": result.problems,
            "processes_left": result.left,
            "rounds_s": result.walls,
            **{shape.name: figures_of(results, result, shape) for shape in SHAPES},
        }
    return {**about, "shapes": {shape.name: vars(shape) for shape in SHAPES}, "tools": tools}


def as_markdown(about: Dict[str, Any], results: List[Result]) -> str:
    parts = [heading(about)]
    parts += [shape_table(results, shape) for shape in SHAPES]
    parts += [problems(results), configurations(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(about: Dict[str, Any]) -> str:
    lines = [
        "# Light tasks, side by side",
        "",
        f"{about['cores']} cores ({about['processor']}), {about['system']}, Python {about['python']}. "
        f"{count(about['rounds'], 'round')}, in each every tool once; median, and lowest to highest. "
        f"Others had {about['others_share']:.0%} of the machine's CPU time meanwhile. "
        f"aws-exe: {about['aws_exe_profile'] or 'not there'}.",
    ]
    lines += [f"\n**{warning}**" for warning in about["warnings"]]
    return "\n".join(lines)


def shape_table(results: List[Result], shape: Shape) -> str:
    """A row a tool, the fastest first; those that were not measured last."""
    bases = [f"÷ {name}" for name in BASES]
    header = ["tool", "wall, s", *bases]
    if shape.count > 1:
        header += ["each further task, ms", *bases]
    measured = [(result, figures_of(results, result, shape)) for result in results]
    rows: List[List[str]] = []
    for result, found in sorted(measured, key=lambda pair: pair[1]["wall_s"]["median"] if pair[1] else float("inf")):
        if found is None:
            rows.append([result.name, "failed"] + [""] * (len(header) - 2))
            continue
        row = [result.name, spread(found["wall_s"], 1, 3)] + [times(found["wall_ratio_to"][name]) for name in BASES]
        if shape.count > 1:
            row += [spread(found["per_task_s"], 1000, 1)]
            row += [times(found["per_task_ratio_to"][name]) for name in BASES]
        rows.append(row)
    return f"## {TITLES[shape.name]}\n\n{table(header, rows)}"


def table(header: List[str], rows: List[List[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [header, rule, *rows]]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def spread(summary: Dict[str, float], factor: float, digits: int) -> str:
    median, low, high = (f"{summary[key] * factor:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def times(ratio: Optional[float]) -> str:
    """A ratio with two digits that count, or a dash when there is none."""
    if ratio is None:
        return "–"
    for limit, digits in ((0.95, 2), (9.95, 1)):
        if abs(ratio) < limit:
            return f"{ratio:.{digits}f}"
    return f"{ratio:.0f}"


def problems(results: List[Result]) -> str:
    parts = []
    for result in results:
        for where, text in result.problems.items():
            title = "" if where == "start" else f", {TITLES[where]}"
            first, _, rest = text.partition("\n")
            parts.append(f"**{result.name}**{title}: {first}" + (f"\n\n{indented(rest)}" if rest else ""))
        if result.left:
            left = f"{count(result.left, 'process', 'processes')} had to be killed after its commands had ended"
            parts.append(f"**{result.name}**: {left}")
    return "## Failed, or not as it should be\n\n" + "\n\n".join(parts) if parts else ""


def configurations(results: List[Result]) -> str:
    rows = [[result.name, result.version or "–", result.configuration] for result in results]
    return "## How each was called\n\n" + table(["tool", "version", "how"], rows).replace("---:", "---")


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def count(number: int, one: str, several: Optional[str] = None) -> str:
    return f"{number} {one if number == 1 else several or one + 's'}"

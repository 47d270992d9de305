"""The tasks that every tool runs, and whether it really ran them.

A task is a shell that appends its name to a file of its own and to the file `order`, which all tasks of a run share.
Each append is one small write in append mode, so that none is lost. Its own file shows how often a task ran; the shared
one shows in which order, and also a task that ran twice when a tool removed its own file in between.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional


@dataclass(frozen=True)
class Shape:
    """How many tasks, and whether each waits for the one before it."""

    name: str
    count: int
    chained: bool

    @property
    def names(self) -> List[str]:
        return [f"t{number:03}" for number in range(1, self.count + 1)]


ONE = Shape("one", 1, chained=False)
CHAIN = Shape("chain", 40, chained=True)
FAN = Shape("fan", 200, chained=False)


@dataclass(frozen=True)
class Work:
    """A shape in a folder of its own: the tasks of one run of one tool."""

    shape: Shape
    folder: Path

    @property
    def marks(self) -> Path:
        """The folder of the tasks' own files."""
        return self.folder / "marks"

    @property
    def order(self) -> Path:
        return self.folder / "order"

    @property
    def tasks(self) -> Path:
        """What the drivers read."""
        return self.folder / "tasks.json"

    def command(self, name: str) -> str:
        """What is handed to `/bin/sh -c`. `compare.py` sees to it that no path needs quoting."""
        return f"echo {name} >> {self.marks}/{name}; echo {name} >> {self.order}"

    def write(self) -> None:
        self.marks.mkdir(parents=True)
        tasks: List[Dict[str, str]] = [
            {"name": name, "command": self.command(name)} for name in self.shape.names
        ]
        document = {"chained": self.shape.chained, "marks": str(self.marks), "tasks": tasks}
        self.tasks.write_text(json.dumps(document), encoding="utf-8")

    def problem(self) -> Optional[str]:
        """What is wrong with what the tasks left; nothing when each ran once, in a chain one after the other."""
        own = {path.name: lines(path) for path in self.marks.iterdir()} if self.marks.is_dir() else {}
        return own_files_problem(self.shape, own) or order_problem(self.shape, lines(self.order))


def lines(path: Path) -> List[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []


def own_files_problem(shape: Shape, own: Dict[str, List[str]]) -> Optional[str]:
    """What is wrong with the tasks' own files, by name."""
    missing = [name for name in shape.names if not own.get(name)]
    if missing:
        return f"{some(missing)} of {shape.count} did not run"
    repeated = [name for name in shape.names if own[name] == [name] * len(own[name]) and len(own[name]) > 1]
    if repeated:
        return f"{some(repeated)} ran more than once"
    wrong = [name for name in shape.names if own[name] != [name]]
    wrong += sorted(set(own) - set(shape.names))
    if wrong:
        return f"{some(wrong)}: the file holds something else than one line with the task's name"
    return None


def order_problem(shape: Shape, order: List[str]) -> Optional[str]:
    """What is wrong with the file that all tasks share."""
    if sorted(order) != sorted(shape.names):
        counts = {name: order.count(name) for name in set(order) | set(shape.names)}
        wrong = sorted(name for name, count in counts.items() if count != 1 or name not in shape.names)
        return f"{some(wrong)}: not exactly once in the shared file"
    if shape.chained and order != shape.names:
        first = next(now for now, planned in zip(order, shape.names) if now != planned)
        return f"the chain was not run in its order: `{first}` came too early"
    return None


def some(names: List[str]) -> str:
    """The first few names, and how many there are when that is more."""
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

"""Reads what `aws-exe run --record FILE` wrote: every AWS call, a JSON line each."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

# Those that Lambda runs. `client` and `states` call as well, and are none.
FUNCTIONS = ("init_job", "orchestrator", "worker", "watchdog_check")
# The state machine, which invokes functions and asks S3.
STATES = "states"
# Who is counted: the functions, and the state machine for what it asks in their place.
CALLERS = (*FUNCTIONS, STATES)
# An event that comes to a function: recorded with the calls, and none.
DELIVER = "Deliver"
# Two answers that come closer to each other than this were waited for at once: the answer to a call that was sent after
# the first had come takes at least 0.25 ms, on a machine that does nothing else.
AT_ONCE_SECONDS = 0.000_15

READS = frozenset({"BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems"})


@dataclass(frozen=True)
class Call:
    """A call. What an older binary does not record is `None`, or empty."""

    seq: int
    at: float
    function: str
    service: str
    operation: str
    key: str
    status: int
    units: float | None
    # `None` where there was no body or nobody counted it.
    size: int | None
    parent: str | None
    starts: str | None

    @property
    def is_counted(self) -> bool:
        """Whether it is a call of one of the functions, or one of the state machine that invokes none of them."""
        is_event = self.operation == DELIVER or (self.function == STATES and self.operation == "Invoke")
        return self.function in CALLERS and not is_event


Counts = Counter[tuple[str, str, str]]


def parse(line: str) -> Call:
    """A line of the record."""
    fields = json.loads(line)
    outcome = fields["outcome"]
    return Call(
        seq=fields["seq"],
        at=float(fields["at"]),
        function=fields["function"],
        service=fields["service"],
        operation=fields["operation"],
        key=fields.get("key", ""),
        status=outcome["status"],
        units=outcome.get("units"),
        size=fields.get("bytes"),
        parent=fields.get("parent"),
        starts=fields.get("starts"),
    )


def read(path: Path) -> list[Call]:
    """All calls, in the order in which they ended."""
    with path.open(encoding="utf-8") as lines:
        return [parse(line) for line in lines if line.strip()]


def count(calls: Iterable[Call]) -> Counts:
    """The calls that count, by function, service and operation."""
    return Counter((call.function, call.service, call.operation) for call in calls if call.is_counted)


def units(calls: Iterable[Call]) -> tuple[float, float] | None:
    """Write and read units of DynamoDB, of the functions; `None` where the record has none."""
    dynamodb = [call for call in calls if call.is_counted and call.service == "dynamodb"]
    if all(call.units is None for call in dynamodb):
        return None
    reads = sum(call.units or 0 for call in dynamodb if call.operation in READS)
    writes = sum(call.units or 0 for call in dynamodb if call.operation not in READS)
    return writes, reads


def uploaded(calls: Iterable[Call], function: str) -> int | None:
    """Bytes that a function put into S3; `None` where the record does not have them."""
    puts = [call for call in puts_of(calls, function) if call.size is not None]
    return sum(call.size or 0 for call in puts) if puts else None


def puts_of(calls: Iterable[Call], function: str) -> list[Call]:
    """The function's calls that bring bytes to S3."""
    return [
        call
        for call in calls
        if call.function == function and call.service == "s3" and call.operation in ("PutObject", "UploadPart")
    ]


class Executions:
    """The watchdogs of a run: those that were started, those for which S3 had a result, and the looks of the others."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self._started: set[str | None] = set()
        self._asked = False
        self._found: set[str | None] = set()
        self._looks: Counter[str | None] = Counter()
        for call in calls:
            self.see(call)

    def see(self, call: Call) -> None:
        if call.operation == "StartExecution" and call.status == 200:
            self._started.add(call.starts)
        elif call.function == STATES and call.operation == "HeadObject":
            self._asked = True
            if call.status == 200:
                self._found.add(call.parent)
        elif call.function == STATES and call.operation == "Invoke":
            self._looks[call.parent] += 1

    @property
    def have_looked(self) -> bool:
        """Whether none is left that has not yet seen anything."""
        return bool(self._started) and self._started <= self._found | self._looks.keys()

    @property
    def transitions(self) -> int:
        """Steps of the state machine: each execution waits and asks S3, which older binaries do not. Where there is no
        result it looks, decides, and waits again or ends. One that the end of the record cut short is taken to its end,
        with one look."""
        looks = sum(max(1, self._looks[execution]) for execution in self._started - self._found)
        return (2 if self._asked else 1) * len(self._started) + 3 * looks


def before_invoke(calls: Iterable[Call]) -> list[list[Call]]:
    """For each result of an order that made the orchestrator start another: its calls before the first Invoke.

    The message that kicks a run off (0000) is no result, and an invocation that starts nothing is not among them.
    """
    results: set[str] = set()
    of: dict[str, list[Call]] = {}
    for call in sorted(calls, key=lambda call: call.seq):
        if call.function != "orchestrator":
            continue
        if call.operation == DELIVER:
            if call.starts and call.key.endswith("/result.json") and not call.key.endswith("/0000/result.json"):
                results.add(call.starts)
        elif call.parent in results:
            of.setdefault(call.parent, []).append(call)
    sequences = []
    for its in of.values():
        invoke = next((place for place, call in enumerate(its) if call.operation == "Invoke"), None)
        if invoke is not None:
            sequences.append(its[:invoke])
    return sequences


def steps(calls: Iterable[Call]) -> int:
    """How many of the calls had to be waited for one after the other: those that were answered at once are one."""
    taken = 0
    last = float("-inf")
    for at in sorted(call.at for call in calls):
        if at - last > AT_ONCE_SECONDS:
            taken += 1
        last = at
    return taken

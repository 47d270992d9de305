"""P9, and the instructions of P2: the parts that decide, by themselves."""

from dataclasses import dataclass

from engine.context import Context
from engine.figures import exponent_beyond_constant, number, per_more
from engine.programs import instructions, need_callgrind
from engine.results import Check, Measure, NotMeasured, Table

MOST = 8_000
FLAT = 1.02
# glibc puts small blocks aside that were given back, and joins them all when a large one is. When that happens hangs on
# what else is in memory: between two sizes of a job it made a difference of a thousand instructions an order.
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.mxfast=0"}


@dataclass(frozen=True)
class Cost:
    """Instructions for a job of some size."""

    read: int
    validate: int
    evaluate: int

    @property
    def counted(self) -> int:
        return self.validate + self.evaluate


def costs(context: Context) -> dict[int, Cost]:
    """By number of orders."""
    if context.pure is None:
        raise NotMeasured(
            "the benchmark of the pure parts was not given: `cargo bench --no-run -p common --bench pure` builds it, "
            "and the variable `PURE_BENCH` names it"
        )
    need_callgrind()
    found = {}
    for orders in context.sizes.pure:
        command = [str(context.pure), str(orders)]
        read = instructions([*command, "--read"], ALLOCATOR)
        validated = instructions([*command, "--validate"], ALLOCATOR)
        found[orders] = Cost(read, validated - read, instructions(command, ALLOCATOR) - validated)
    return found


def measure(context: Context) -> list[Measure]:
    """P9, and what P2 has of it."""
    result = Measure(
        "P9",
        "Validate and evaluate",
        "Pure, under callgrind: a job in layers of ten, each order waiting for the ten before, is validated and its "
        "graph evaluated once. What reading the document takes is subtracted. An order's share is the difference "
        "between two sizes divided by the orders between them, so that what happens once does not count. glibc's fast "
        "bins are switched off (`glibc.malloc.mxfast=0`): when they are joined hangs on what else is in memory.",
    )
    growth = Measure("P2", "", "")
    try:
        found = costs(context)
    except NotMeasured as error:
        result.unmeasured.append(str(error))
        growth.unmeasured.append(f"instructions: {error}")
        return [result, growth]
    small, large = (100, max(found)) if 100 in found else (min(found), max(found))
    share = per_more((small, found[small].counted), (large, found[large].counted))
    result.checks.append(Check(f"instructions an order, from {small:,} to {large:,}", share, MOST, digits=0))
    # Sizes ten times apart; the last is one short of it, as a job has at most 9,999 orders.
    sizes = sorted(found)
    for first, second, third in zip(sizes, sizes[1:], sizes[2:]):
        slope = exponent_beyond_constant(*(found[orders].counted for orders in (first, second, third)))
        if slope is not None:
            check = Check(f"instructions, pure parts, N = {first:,} to {third:,}", slope, FLAT, digits=3)
            growth.checks.append(check)
            result.checks.append(Check(f"flat: exponent from {first:,} to {third:,}", slope, FLAT, digits=3))
    rows = [
        [f"{orders:,}"] + [number(part / orders, 0) for part in (cost.read, cost.validate, cost.evaluate)]
        for orders, cost in found.items()
    ]
    columns = ["orders", "make and read the document", "validate", "evaluate"]
    result.tables.append(Table("Instructions, divided by the orders", columns, rows))
    result.notes.append(
        "Making and reading the document is not counted; it is there to compare. Evaluating is a small "
        "difference of two large counts, and has the copying of the dependencies into nodes with it."
    )
    return [result, growth]

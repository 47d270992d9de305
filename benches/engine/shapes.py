"""The jobs that are measured, and how results are made to come. Pure."""

from typing import Any, Callable

Job = dict[str, Any]
LAYERS = 20
# Longer than any run takes that is measured.
TIMEOUT_SECONDS = 600


def _order(number: int, dependencies: range = range(0)) -> dict[str, Any]:
    order: dict[str, Any] = {
        "order_name": f"o{number}",
        "execution_target": "lambda",
        "timeout": TIMEOUT_SECONDS,
        "cmds": [":"],
    }
    if dependencies:
        order["dependencies"] = [f"o{dependency}" for dependency in dependencies]
    return order


def _job(label: str, orders: list[dict[str, Any]]) -> Job:
    return {"username": "bench", "flow_label": label, "orders": orders}


def fan(orders: int) -> Job:
    """No order waits for another."""
    return _job("fan", [_order(number) for number in range(orders)])


def chain(orders: int) -> Job:
    """Each waits for the one before."""
    return _job("chain", [_order(number, range(max(0, number - 1), number)) for number in range(orders)])


def layers(orders: int) -> Job:
    """Twenty layers, each order waiting for all of the layer before."""
    width = max(1, orders // LAYERS)

    def above(number: int) -> range:
        first = number // width * width
        return range(max(0, first - width), first)

    return _job("layers", [_order(number, above(number)) for number in range(orders)])


SHAPES: dict[str, Callable[[int], Job]] = {"fan": fan, "chain": chain, "layers": layers}

AS_THEY_COME = "as they come"
ONE_BY_ONE = "one by one"
AT_ONCE = "at once"

# As in the test that pins the counts, `crates/cli/tests/it/calls.rs`.
SCRIPTS: dict[str, list[dict[str, Any]]] = {
    AS_THEY_COME: [],
    # Far from each other and in random order, but within less than a minute, so that no tick comes between.
    ONE_BY_ONE: [
        {
            "function": "orchestrator",
            "operation": "Deliver",
            "key": "/result.json",
            "times": 1_000_000,
            "action": {"storm": {"copies": 1, "within_ms": 50_000, "seed": 1}},
        }
    ],
    # While the first pass that reads one stands still.
    AT_ONCE: [
        {
            "function": "orchestrator",
            "service": "s3",
            "operation": "GetObject",
            "key": "/result.json",
            "action": {"delay": {"ms": 30_000}},
        }
    ],
}
# Submissions are looked at, and nothing is to run.
NOTHING_STARTS: list[dict[str, Any]] = [
    {"function": "orchestrator", "operation": "Deliver", "times": 1_000_000, "action": "drop"}
]

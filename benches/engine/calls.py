"""P1 to P4: what the record of calls says."""

from collections import Counter

from engine import prices, record
from engine.context import Context
from engine.figures import departure, exponent, number
from engine.record import Call
from engine.results import Check, Measure, NotMeasured, Table
from engine.shapes import AS_THEY_COME, AT_ONCE, ONE_BY_ONE

# Calls an order: of all functions, and of the orchestrator.
AIMS = {"fan": (14, 7.5), "chain": (15, 8.5)}
SAME = 5
CALLS_EXPONENT = 1.02
UNITS_EXPONENT = {"chain": 1.05, "fan": 1.3}
# Growth is measured from here, where what a run takes once does not flatter it.
GROWTH_FROM = 100
STEPS = 6

Key = tuple[str, int, str]


def wanted(context: Context) -> list[Key]:
    """The runs of P1 to P3."""
    sizes = context.sizes
    # Twenty layers need twenty orders.
    keys = [
        (shape, orders, AS_THEY_COME)
        for shape in ("fan", "chain", "layers")
        for orders in sizes.counted
        if shape != "layers" or orders >= 20
    ]
    keys.append(("fan", sizes.largest_fan, AS_THEY_COME))
    keys += [("fan", orders, delivery) for delivery in (ONE_BY_ONE, AT_ONCE) for orders in sizes.extremes]
    return keys


def gather(context: Context, measure: Measure) -> dict[Key, list[Call]]:
    """The calls of all runs that could be made."""
    runs = {}
    for key in wanted(context):
        try:
            runs[key] = context.calls(*key)
        except NotMeasured as error:
            measure.unmeasured.append(str(error))
    return runs


def title(key: Key) -> str:
    shape, orders, delivery = key
    return f"{shape} {orders:,}" + ("" if delivery == AS_THEY_COME else f", {delivery}")


def per_order(calls: list[Call], orders: int, function: str | None = None) -> float:
    """Calls an order, of one function or of all."""
    counts = record.count(calls)
    return sum(count for (of, *_), count in counts.items() if function in (None, of)) / orders


def calls_per_order(context: Context) -> Measure:
    """P1."""
    measure = Measure(
        "P1",
        "AWS calls an order",
        "Counted at the embedded AWS. Calls of the functions, and `states`, the state machine, where it asks S3 itself; "
        "not those of whoever watches the run, and not the events and invocations that come to a function. What a run "
        "takes once is divided among its orders as well. A watchdog that asks when its order is over long since is "
        "waited for, and counts.",
    )
    runs = gather(context, measure)
    for shape, (most, most_orchestrator) in AIMS.items():
        for delivery in (AS_THEY_COME, ONE_BY_ONE, AT_ONCE):
            its = {key: calls for key, calls in runs.items() if key[0] == shape and key[2] == delivery}
            for function, aim in ((None, most), ("orchestrator", most_orchestrator)):
                of = {key[1]: per_order(calls, key[1], function) for key, calls in its.items()}
                # At the largest, and where it is most: what a run takes once is much for the orders of a small one.
                for orders in sorted({max(of), max(of, key=lambda orders: of[orders])} if of else (), reverse=True):
                    what = f"{shape}, {delivery}, {function or 'all functions'}, N = {orders:,}"
                    measure.checks.append(Check(what, of[orders], aim))
            if delivery == AS_THEY_COME and len(its) > 1:
                sizes = [key[1] for key in its]
                share = 100 * departure([per_order(calls, key[1]) for key, calls in its.items()])
                what = f"{shape}, how far calls an order are from their middle, N = {min(sizes):,} to {max(sizes):,}"
                measure.checks.append(Check(what, share, SAME, "%", 1))
    rows = [
        [title(key), *(number(per_order(calls, key[1], function)) for function in (None, *record.CALLERS))]
        for key, calls in runs.items()
    ]
    functions = [f"`{function}`" for function in record.CALLERS]
    measure.tables.append(Table("Calls an order", ["job", "all", *functions], rows))
    measure.tables.append(by_operation(runs))
    return measure


def by_operation(runs: dict[Key, list[Call]]) -> Table:
    """Calls an order by function and operation, of the largest run of each kind."""
    largest: dict[tuple[str, str], Key] = {}
    for key in sorted(runs, key=lambda key: key[1]):
        largest[key[0], key[2]] = key
    shown = [key for key in runs if key in largest.values()]
    counts = {key: record.count(runs[key]) for key in shown}
    operations = sorted(set().union(*counts.values())) if counts else []
    rows = [
        [f"`{function}`", f"`{service}:{operation}`"]
        + [number(counts[key][function, service, operation] / key[1]) for key in shown]
        for function, service, operation in operations
    ]
    return Table("By function, service and operation", ["function", "call", *map(title, shown)], rows)


def growth(context: Context) -> Measure:
    """P2, without instructions."""
    measure = Measure(
        "P2",
        "Growth",
        f"The slope of a straight line through the logarithms, from N = {GROWTH_FROM} to the largest: 1 is growth in "
        "proportion. Results come as they come.",
    )
    runs = {key: calls for key, calls in gather(context, measure).items() if key[2] == AS_THEY_COME}
    rows = []
    for shape in ("fan", "chain", "layers"):
        its = {key[1]: calls for key, calls in sorted(runs.items()) if key[0] == shape}
        grown = {orders: calls for orders, calls in its.items() if orders >= GROWTH_FROM}
        # A quick run has no two sizes from there on.
        from_where = grown if len(grown) > 1 else its
        counted = [(orders, float(sum(record.count(calls).values()))) for orders, calls in from_where.items()]
        consumed = [(orders, sum(units)) for orders, calls in from_where.items() if (units := record.units(calls))]
        if (slope := exponent(counted)) is not None:
            measure.checks.append(Check(f"{shape}, calls, N = {span(counted)}", slope, CALLS_EXPONENT, digits=3))
        if (slope := exponent(consumed)) is not None:
            aim = UNITS_EXPONENT.get(shape)
            measure.checks.append(Check(f"{shape}, DynamoDB units, N = {span(consumed)}", slope, aim, digits=3))
        for orders, calls in its.items():
            units = record.units(calls)
            rows.append(
                [
                    f"{shape} {orders:,}",
                    f"{sum(record.count(calls).values()):,}",
                    number(sum(units), 1) if units else "not measured",
                    number(sum(units) / orders) if units else "not measured",
                ]
            )
    if not any(record.units(calls) for calls in runs.values()):
        measure.unmeasured.append("DynamoDB units: this binary does not record them, a newer one does")
    measure.tables.append(Table("", ["job", "calls", "DynamoDB units", "units an order"], rows))
    return measure


def span(points: list[tuple[int, float]]) -> str:
    return f"{points[0][0]:,} to {points[-1][0]:,}"


def price(context: Context) -> Measure:
    """P3."""
    measure = Measure(
        "P3",
        "Control-plane price of a million orders",
        "Calls and units of a run times list prices (us-east-1, on demand, no free tier), for so many runs of this "
        f"size as make a million orders. {prices.LEFT_OUT}",
    )
    runs = gather(context, measure)
    largest = [
        max((key for key in runs if key[0] == shape and key[2] == AS_THEY_COME), key=lambda key: key[1], default=None)
        for shape in ("fan", "chain", "layers")
    ]
    shown = [key for key in largest if key is not None]
    bills = {key: prices.parts(runs[key]) for key in shown}
    for key in shown:
        total = prices.total_per_million(bills[key], key[1])
        measure.checks.append(Check(f"{title(key)}, a million orders", total, None, "USD"))
    rows = []
    for place, name in enumerate(part.name for part in bills[shown[0]]) if shown else ():
        each = [bills[key][place] for key in shown]
        rows.append([name, f"${each[0].price * 1e6:,.3f}"])
        for key, part in zip(shown, each):
            dollars = part.per_million(key[1])
            if part.count is None or dollars is None:
                rows[-1] += ["not measured"] * 2
            else:
                rows[-1] += [number(part.count / key[1]), f"${dollars:,.2f}"]
    columns = ["part", "list price, a million"]
    for key in shown:
        columns += [f"{title(key)}: an order", "a million orders"]
    measure.tables.append(Table("", columns, rows))
    if any(part.count is None for bill in bills.values() for part in bill):
        measure.unmeasured.append(
            "the DynamoDB part, which the sums are without: this binary does not record units, a newer one does"
        )
    measure.notes.append("The aim is that it falls from release to release.")
    return measure


def steps(context: Context) -> Measure:
    """P4."""
    measure = Measure(
        "P4",
        "Calls between a result and the next start",
        "Of the orchestrator, in the invocation that an order's result caused, before its first `Invoke`; a chain, so "
        "nobody contends. The record has the time of each answer and not of its beginning. Two answers within "
        f"{record.AT_ONCE_SECONDS * 1000:g} ms were waited for at once, since a call takes at least 0.25 ms, and count "
        "as one; two that were waited for at once and answered further apart count as two.",
    )
    orders = max(context.sizes.counted[:2])
    sequences = record.before_invoke(context.calls("chain", orders))
    if not sequences:
        raise NotMeasured("no result made the orchestrator start an order")
    taken = [record.steps(sequence) for sequence in sequences]
    all_calls = [len(sequence) for sequence in sequences]
    usual = Counter(taken).most_common(1)[0][0]
    measure.checks.append(Check(f"chain {orders:,}, the most of {len(taken)} results", max(taken), STEPS, digits=0))
    rows = [
        [str(count), str(taken.count(count)), str(all_calls.count(count))]
        for count in sorted(set(taken) | set(all_calls))
    ]
    columns = ["calls", "results: one after the other", "results: all of them"]
    measure.tables.append(Table("", columns, rows))
    example = next(sequence for sequence, count in zip(sequences, taken) if count == usual)
    names = ", ".join(f"`{call.service}:{call.operation}`" for call in example)
    measure.notes.append(f"Usually {usual}: {names}. An environment that has not yet read the plan takes one more.")
    return measure

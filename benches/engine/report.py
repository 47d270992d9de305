"""Writes what was found: a page for people, and JSON. Pure."""

import textwrap

from engine.results import Check, Measure, Table

WIDTH = 120
SUMMARY = ["measure", "figure", "aim", ""]


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(columns), line(["---"] * len(columns)), *map(line, rows)]


def prose(text: str) -> list[str]:
    """A paragraph, in lines."""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _check_row(key: str, check: Check) -> list[str]:
    return [f"{key}: {check.what}", check.figure, check.aim, check.verdict]


def merged(measures: list[Measure]) -> list[Measure]:
    """One measure a key: what several found for it, joined into the first."""
    by_key: dict[str, Measure] = {}
    for measure in measures:
        first = by_key.setdefault(measure.key, measure)
        if first is not measure:
            first.title = first.title or measure.title
            first.how = first.how or measure.how
            first.checks += measure.checks
            first.tables += measure.tables
            first.notes += measure.notes
            first.unmeasured += measure.unmeasured
    return list(by_key.values())


def render(machine: dict[str, str], measures: list[Measure]) -> str:
    """The page."""
    checks = [(measure.key, check) for measure in measures for check in measure.checks]
    with_aim = [check for _, check in checks if check.most is not None]
    met = sum(check.is_met for check in with_aim)
    lines = [
        "# Benchmarks",
        "",
        *prose(
            "Written by `scripts/bench.sh`; [benches/README.md](../benches/README.md) says what is measured, how, and "
            "what is not said. Counts and instructions hold on any machine, as far as they do not depend on what comes "
            "first; times are of the machine below alone."
        ),
        "",
        *table(["", ""], [[name, value] for name, value in machine.items()]),
        "",
        f"## Against the aims: {met} of {len(with_aim)} met",
        "",
        *table(SUMMARY, [_check_row(key, check) for key, check in checks]),
    ]
    for measure in measures:
        lines += ["", f"## {measure.key}: {measure.title}", "", *prose(measure.how)]
        if measure.checks:
            lines += ["", *table(["", "figure", "aim", ""], [_bare(check) for check in measure.checks])]
        for its in measure.tables:
            lines += _table_section(its)
        for note in measure.notes:
            lines += ["", *prose(note)]
        for reason in measure.unmeasured:
            lines += ["", *prose(f"**Not measured**: {reason}.")]
    return "\n".join(lines) + "\n"


def _bare(check: Check) -> list[str]:
    return [check.what, check.figure, check.aim, check.verdict]


def _table_section(its: Table) -> list[str]:
    if not its.rows:
        return []
    heading = ["", f"### {its.title}"] if its.title else []
    return [*heading, "", *table(its.columns, its.rows)]

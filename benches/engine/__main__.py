"""`python3 -m engine`: runs the measures. `scripts/bench.sh` builds what they need and starts it."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from engine import calls, chain, cold_start, machine, pure, report, scale, size, spawn, upload
from engine.context import QUICK, Context, Sizes, tell
from engine.programs import AwsExe
from engine.results import Measure, NotMeasured

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "BENCHMARKS.md"

# P9 stands apart: it has figures for P2 as well.
MEASURES: dict[str, Callable[[Context], Measure]] = {
    "P1": calls.calls_per_order,
    "P2": calls.growth,
    "P3": calls.price,
    "P4": calls.steps,
    "P5": chain.measure,
    "P6": spawn.measure,
    "P7": cold_start.measure,
    "P8": upload.measure,
    "P10": size.measure,
    "scale": scale.measure,
}
ORDER = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "scale"]


def names(text: str) -> list[str]:
    """`P1,P5` as typed."""
    known = {name.lower(): name for name in ORDER}
    wanted = [part.strip().lower() for part in text.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise argparse.ArgumentTypeError(f"no measure is called `{text}`; there are {', '.join(ORDER)}")
    return [name for name in ORDER if name.lower() in wanted]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description="Measures the engine.")
    parser.add_argument("--only", type=names, metavar="P1,P5", help=f"these measures of {', '.join(ORDER)}")
    parser.add_argument("--quick", action="store_true", help="small jobs: shows that it works; nothing to publish")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="where the page goes; docs/BENCHMARKS.md, or standard output if "
        "not everything was measured"
    )
    return parser.parse_args()


def binary(variable: str) -> Path | None:
    """A ready binary that a variable names."""
    named = os.environ.get(variable)
    if not named:
        return None
    path = Path(named).resolve()
    if not os.access(path, os.X_OK):
        sys.exit(f"error: `{variable}` names `{named}`, which is no program; unset, scripts/bench.sh builds one")
    return path


def perform(wanted: list[str], context: Context) -> list[Measure]:
    """All measures that are wanted, in the order of the page. One that cannot run says so and stops no other."""
    found: list[Measure] = []
    for name in wanted:
        if name in MEASURES:
            found += attempt(name, lambda name=name: [MEASURES[name](context)])
    if {"P2", "P9"} & set(wanted):
        found += attempt("P9", lambda: pure.measure(context))
    joined = report.merged(found)
    return sorted((one for one in joined if one.key in wanted), key=lambda one: ORDER.index(one.key))


def attempt(name: str, measure: Callable[[], list[Measure]]) -> list[Measure]:
    started = time.monotonic()
    tell(f"── {name}")
    try:
        return measure()
    except (NotMeasured, OSError, subprocess.SubprocessError) as error:
        return [Measure(name, "could not be measured", "", unmeasured=[str(error)])]
    finally:
        tell(f"── {name}: {time.monotonic() - started:.0f} s")


def main() -> None:
    options = arguments()
    exe = binary("AWS_EXE")
    if exe is None:
        sys.exit("error: `AWS_EXE` names no binary; start this by scripts/bench.sh, which builds one")
    about = machine.describe(ROOT, os.environ.get("BENCH_PROFILE", "unknown"))
    context = Context(AwsExe(exe), binary("AWS_EXE_LEAN"), binary("PURE_BENCH"), QUICK if options.quick else Sizes())
    measures = perform(options.only or ORDER, context)
    if options.json:
        found = {"machine": about, "quick": options.quick, "measures": [one.as_json() for one in measures]}
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = options.page or (None if options.quick or options.only else PAGE)
    text = report.render(about, measures)
    if page:
        page.write_text(text, encoding="utf-8")
        tell(f"written: {page}")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()

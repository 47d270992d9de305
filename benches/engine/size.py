"""P10: how large the binary is that Lambda gets."""

import subprocess
import tempfile
from pathlib import Path

from engine.context import Context
from engine.figures import megabytes
from engine.results import Check, Measure

MOST_MB = 25


def stripped(binary: Path) -> tuple[int, bool]:
    """Its size without symbols, and whether that could be had."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stripped"
        try:
            subprocess.run(["strip", "-o", str(copy), str(binary)], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return binary.stat().st_size, False
        return copy.stat().st_size, True


def measure(context: Context) -> Measure:
    how = "`--profile lean --no-default-features`, as the image and instances have it."
    result = Measure("P10", "Size of the lean release binary, stripped", how)
    if context.lean is None:
        result.unmeasured.append("the lean binary was not given: the variable `AWS_EXE_LEAN` names one")
        return result
    size, is_stripped = stripped(context.lean)
    result.checks.append(Check("bytes", megabytes(size), MOST_MB, "MB", 1))
    if not is_stripped:
        result.notes.append("As it was built: `strip` is missing (`apt-get install binutils`).")
    return result

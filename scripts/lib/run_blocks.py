"""Writes the shell of workflows' `run` blocks into files, for shellcheck. It knows `run: |` and `run: one line`, which are
the two forms that the workflows here use; any other form is an error.

Usage: python3 run_blocks.py FOLDER FILE …      prints a line `SCRIPT TAB WHERE` for each block
"""

import re
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

RUN = re.compile(r"^(?P<indent> *)(?P<dash>- )?run: (?P<rest>.*)$")


def blocks(lines: List[str]) -> Iterator[Tuple[int, List[str]]]:
    """The line that each begins at, and its text."""
    for number, line in enumerate(lines):
        match = RUN.match(line)
        if not match:
            continue
        if match["rest"] != "|":
            if match["rest"][:1] in (">", "|", "'", '"'):
                raise SystemExit(f"error: line {number + 1}: `run` is a block by `|`, or one plain line")
            yield number + 1, [match["rest"]]
            continue
        depth = len(match["indent"]) + len(match["dash"] or "")
        body = []
        for text in lines[number + 1 :]:
            if text.strip() and len(text) - len(text.lstrip(" ")) <= depth:
                break
            body.append(text[depth + 2 :])
        yield number + 2, body


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:]:
        file = Path(name)
        for begin, body in blocks(file.read_text(encoding="utf-8").splitlines()):
            # Every action's file is called action.yml.
            script = folder / f"{file.parent.name}-{file.stem}-{begin}.sh"
            # GitHub runs a block by `bash -e`, or with `shell: bash` by `bash -eo pipefail`.
            script.write_text("#!/usr/bin/env bash\nset -eo pipefail\n" + "\n".join(body) + "\n", encoding="utf-8")
            print(f"{script}\t{name}:{begin}")


if __name__ == "__main__":
    main()

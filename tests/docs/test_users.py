"""Holds the documents for users of the command line against the command line. Needs AWS_EXE, a binary of the engine.

- docs/TUTORIAL.md: its commands are run from the first to the last, and print what stands below them.
- Every option that README.md, docs/TUTORIAL.md, docs/HOWTO.md and docs/CONCEPTS.md give to a verb is one of the verb's.
- The pictures that say how they were made are what that command prints.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/TUTORIAL.md", "docs/HOWTO.md", "docs/CONCEPTS.md")
AWS_EXE = os.environ.get("AWS_EXE")
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Blocks that do not end with 0: the two mistakes, and the test that fails.
EXITS = {
    "aws-exe validate --var VERSION=1.0 job.yaml": 2,
    "aws-exe run --var VERSION=1.0 job.yaml": 1,
    "aws-exe submit --run-id first --follow --var VERSION=1.0 job.yaml": 1,
}
# The server of the tutorial's second terminal.
SERVER = "aws-exe local"
# Where something is left out of a screen.
LEFT_OUT = "[…]"
# What is different each time: moments, durations, the first part of a flow's id, the port.
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "<moment>"),
    (re.compile(r" +\d+(\.\d)? s\b"), " <duration>"),
    (re.compile(r"you:[0-9a-f]{8}-"), "you:<trace>-"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:<port>"),
)
# Lines of the live view, which a terminal alone gets.
LIVE = re.compile(r"^([✓✗▸·⊘] |\d+ of \d+ ended)")
# Far more than any of it takes; only what hangs meets it.
LIMIT = 300


def blocks(page: str) -> List[Tuple[str, str]]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def normal(text: str) -> List[str]:
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    # The table of jq's @tsv has tabs, the page what a terminal makes of them.
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def calls(page: str) -> Iterator[Tuple[str, str]]:
    """Verb and the rest of each call of the command line in a page's commands."""
    for kind, block in blocks(page):
        if kind == "sh":
            yield from re.findall(r"\baws-exe ([a-z]+)([^|;#\n]*)", block)


@unittest.skipUnless(AWS_EXE, "AWS_EXE names no binary")
class Users(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/aws-exe").symlink_to(str(AWS_EXE))
        self.environment: Dict[str, str] = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder), "NO_COLOR": "1",
        }  # fmt: skip

    def serve(self) -> str:
        """Starts the tutorial's server on a free port; later commands ask it. Its first line."""
        server = subprocess.Popen(
            ["aws-exe", "local", "--port", "0"],
            env=self.environment, executable=str(AWS_EXE), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdout
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait, LIMIT)
        self.addCleanup(server.terminate)
        ready = server.stdout.readline()
        self.environment["AWS_ENDPOINT_URL"] = ready.split()[-1]
        return ready

    def shell(self, block: str, folder: Path) -> Tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", block],
            cwd=folder, env=self.environment, timeout=LIMIT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def test_the_tutorial_prints_what_it_says(self) -> None:
        folder, block, printed = self.folder, "", ""
        ran = 0
        for kind, text in blocks("docs/TUTORIAL.md"):
            if kind == "text":
                self.compare(block, text, printed)
                continue
            block = text.strip()
            if block == SERVER:
                printed = self.serve()
                continue
            if " jq " in block and not shutil.which("jq"):
                printed = ""
                continue
            code, printed = self.shell(block, folder)
            self.assertEqual(code, EXITS.get(block, 0), f"{block}\n{printed}")
            ran += 1
            if "cd pipeline" in block:
                folder = self.folder / "pipeline"
        self.assertGreater(ran, 12)

    def compare(self, block: str, screen: str, printed: str) -> None:
        """Each line of the screen was printed. Two things that happen in one moment may change places."""
        if not printed:
            return
        lines = normal(printed)
        live = "--follow" in block or "aws-exe run" in block
        for line in normal(screen):
            if line == LEFT_OUT or (live and LIVE.search(line)):
                continue
            self.assertIn(line, lines, f"{block}\n{printed}")
        if not live and LEFT_OUT not in screen:
            self.assertEqual(len(normal(screen)), len(lines), f"{block}\n{printed}")

    def test_every_option_is_one_of_its_verb(self) -> None:
        helps: Dict[str, Optional[str]] = {}
        seen = 0
        for page in PAGES:
            for verb, rest in calls(page):
                if verb not in helps:
                    helps[verb] = subprocess.run(
                        ["aws-exe", verb, "--help"],
                        executable=str(AWS_EXE), timeout=LIMIT, text=True, check=True, stdout=subprocess.PIPE,
                    ).stdout  # fmt: skip
                for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest):
                    self.assertRegex(str(helps[verb]), rf"(?m)(^|\s){option}\b", f"{page}: aws-exe {verb}{rest}")
                    seen += 1
        self.assertGreater(seen, 30)

    def test_pictures_are_what_their_command_makes(self) -> None:
        seen = 0
        for page in PAGES:
            for _, block in blocks(page):
                for command, picture in re.findall(r"^(aws-exe graph .*) > (docs/pictures/\S+)$", block, re.MULTILINE):
                    code, printed = self.shell(command, ROOT)
                    self.assertEqual(code, 0, printed)
                    self.assertEqual(printed, (ROOT / picture).read_text(encoding="utf-8"), picture)
                    seen += 1
        self.assertGreater(seen, 0)


if __name__ == "__main__":
    unittest.main()

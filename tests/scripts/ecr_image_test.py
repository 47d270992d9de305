"""Tests of scripts/ecr_image.sh, with stand-ins for the AWS CLI and skopeo that keep a registry in a JSON file. That
the real ones read and write images byte for byte they cannot show.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, Tuple

ROOT = Path(__file__).resolve().parents[2]
URL = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# An image is its text; the registry has tags and, under their digests, images.
STAND_IN = '''
import hashlib, json, os, pathlib, sys
path = pathlib.Path(os.environ["REGISTRY"])
tags, images = json.loads(path.read_text())
args = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
if args[:2] == ["ecr", "get-login-password"]:
    print("password")
elif args[:2] == ["ecr", "describe-images"]:
    tag = sys.argv[sys.argv.index("--image-ids") + 1].partition("=")[2]
    if tag not in tags:
        sys.exit("An error occurred (ImageNotFoundException) when calling the DescribeImages operation: no")
    print(tags[tag])
elif args[0] == "login":
    assert sys.stdin.read() == "password\\n"
else:
    def content(image):
        kind, _, rest = image.partition(":")
        return images[rest.partition("@")[2]] if kind == "docker" else pathlib.Path(rest).read_text()
    if args[0] == "inspect":
        print(content(args[1]))
    else:
        assert args[0] == "copy", args
        if "--digestfile" in sys.argv:
            digestfile = args.pop(1)
        text = content(args[1])
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        if args[2].startswith("dir:"):
            pathlib.Path(args[2][4:]).write_text(text)
        else:
            tag = args[2].rpartition(":")[2]
            assert tag == "latest" or tag not in tags, "tags are immutable"
            tags[tag], images[digest] = digest, text
            path.write_text(json.dumps([tags, images]))
        if "--digestfile" in sys.argv:
            pathlib.Path(digestfile).write_text(digest)
'''


def digest_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class EcrImage(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ecr-image-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("aws", "skopeo"):
            (self.folder / name).write_text(f"#!{sys.executable} -IS\n{STAND_IN}")
            (self.folder / name).chmod(0o755)
        self.registry = self.folder / "registry.json"
        self.registry.write_text("[{}, {}]")
        self.image = self.folder / "image.tar"
        self.image.write_text("first")

    def run_script(self, *args: str) -> Tuple[int, str, str]:
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "REGISTRY": str(self.registry)}
        command = [str(ROOT / "scripts/ecr_image.sh"), *args]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def push(self, commit: str = COMMIT, *more: str) -> Tuple[int, str, str]:
        return self.run_script("push", f"docker-archive:{self.image}", URL, commit, *more)

    def tags(self) -> Dict[str, Any]:
        tags: Dict[str, Any] = json.loads(self.registry.read_text())[0]
        return tags

    def test_pushes_under_the_commit_and_its_first_digits(self) -> None:
        self.assertEqual(self.push()[:2], (0, f"{digest_of('first')} this\n"))
        self.assertEqual(self.tags(), {COMMIT: digest_of("first"), COMMIT[:7]: digest_of("first")})

    def test_latest_moves_and_nothing_else_does(self) -> None:
        self.push(COMMIT, "--latest")
        self.image.write_text("second")
        other = "f" + COMMIT[1:]
        self.assertEqual(self.push(other, "--latest")[:2], (0, f"{digest_of('second')} this\n"))
        tags = self.tags()
        self.assertEqual((tags[COMMIT], tags[other]), (digest_of("first"), digest_of("second")))
        self.assertEqual(tags["latest"], digest_of("second"))

    def test_the_same_image_again_changes_nothing(self) -> None:
        self.push(COMMIT, "--latest")
        before = self.registry.read_text()
        self.assertEqual(self.push(COMMIT, "--latest")[:2], (0, f"{digest_of('first')} this\n"))
        self.assertEqual(self.registry.read_text(), before)

    def test_what_was_cut_off_is_completed(self) -> None:
        self.registry.write_text(json.dumps([{COMMIT: digest_of("first")}, {digest_of("first"): "first"}]))
        self.assertEqual(self.push(COMMIT, "--latest")[:2], (0, f"{digest_of('first')} this\n"))
        self.assertEqual(set(self.tags()), {COMMIT, COMMIT[:7], "latest"})

    def test_another_build_of_the_commit_is_left_and_told(self) -> None:
        self.push()
        self.image.write_text("built again")
        self.assertEqual(self.push()[:2], (0, f"{digest_of('first')} other\n"))
        self.image.unlink()
        self.assertEqual(self.push()[:2], (0, f"{digest_of('first')} other\n"))

    def test_an_image_that_is_gone_is_named(self) -> None:
        self.image.unlink()
        status, _, said = self.push()
        self.assertEqual(status, 1)
        self.assertIn(f"error: there is no `{self.image}`: if its artifact has expired, run all jobs", said)

    def test_two_commits_that_begin_alike_are_refused(self) -> None:
        self.push()
        self.image.write_text("second")
        status, _, said = self.push(COMMIT[:7] + "f" * 33)
        self.assertEqual(status, 1)
        self.assertIn(f"exe-sys:{COMMIT[:7]} is another image, {digest_of('first')}: two commits begin alike", said)

    def test_fetches_what_can_be_pushed_elsewhere(self) -> None:
        self.push()
        target = self.folder / "fetched"
        self.assertEqual(self.run_script("fetch", URL, COMMIT, str(target))[:2], (0, f"{digest_of('first')}\n"))
        self.registry.write_text("[{}, {}]")
        self.assertEqual(self.run_script("push", f"dir:{target}", URL, COMMIT)[:2], (0, f"{digest_of('first')} this\n"))

    def test_a_commit_without_an_image_cannot_be_fetched(self) -> None:
        status, _, said = self.run_script("fetch", URL, COMMIT, str(self.folder / "fetched"))
        self.assertEqual(status, 1)
        self.assertIn(f"there is no image of the commit {COMMIT} in {URL}", said)


if __name__ == "__main__":
    unittest.main()

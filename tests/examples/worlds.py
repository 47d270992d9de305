"""What the tests of the examples begin with: a folder with the stand-in programs, a state, and ways to run a script.

The scripts are run as the engine runs commands: in a copy of the code, with an environment that is built from nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Dict, List, Optional

import standin

try:
    import botocore.session
    import botocore.validate
except ImportError:
    # Then the shapes of inputs and answers are not held against the services' models.
    botocore = None

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = standin.REGISTRY
# A script that hangs is a finding: none takes longer than some seconds here.
LIMIT = 120


def image(name: str, *tags: str, second: int = 1) -> Dict[str, Any]:
    """An image in ECR; `name` makes its digest."""
    manifest = json.dumps({"schemaVersion": 2, "name": name})
    return {
        "digest": "sha256:" + hashlib.sha256(manifest.encode()).hexdigest(),
        "tags": list(tags),
        "pushedAt": f"2025-01-01T00:00:{second:02d}+00:00",
        "manifest": manifest,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
    }


def operation_model(service: str, operation: str) -> Any:
    """The API's own model of an operation, as the CLI has it; loaded once a service."""
    if service not in MODELS:
        MODELS[service] = botocore.session.get_session().get_service_model(service)
    model = MODELS[service]
    name = next(one for one in model.operation_names if one.lower() == operation.replace("-", ""))
    return model.operation_model(name)


MODELS: Dict[str, Any] = {}


def misshapen(call: Dict[str, Any]) -> List[str]:
    """What of a recorded call is not as the API has it: names, types and limits of the input and of the answer."""
    found = []
    for side in ("input", "output"):
        if botocore is None or side not in call:
            continue
        shape = getattr(operation_model(call["words"][0], call["words"][1]), f"{side}_shape")
        if shape is not None:
            errors = botocore.validate.ParamValidator().validate(call[side], shape)
            if errors.has_errors():
                found.append(f"{' '.join(call['words'][:2])}, {side}: {errors.generate_report()}")
    return found


class Health(HTTPServer):
    """A real HTTP server whose answers a test chooses: the last of `answers` stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers: List[Any] = [(200, "ok")]
        self.asked = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/health"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Health)
        server.asked += 1
        status, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/login")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


class World(unittest.TestCase):
    """A test with a world of its own. `example` is the folder below `examples` whose scripts are run."""

    example = ""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="examples-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for program in ("aws", "docker"):
            # -S -E: nothing but the standard library, which starts in half the time, and there are many calls.
            path = self.bin / program
            path.write_text(
                f'#!/bin/sh\nexec "{sys.executable}" -S -E "{standin.__file__}" "{self.folder}" {program} "$@"\n'
            )
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        # The interpreter itself: one that a version manager puts on the PATH may put a real `aws` before the stand-in.
        (self.bin / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (self.bin / "python3").chmod(0o755)
        self.code = self.folder / "code"
        shutil.copytree(
            ROOT / "examples" / self.example, self.code / "delivery", ignore=shutil.ignore_patterns("__pycache__")
        )
        self.write(self.beginning())
        self.variables: Dict[str, str] = {"AWS_DEFAULT_REGION": "eu-central-1"}

    def beginning(self) -> Dict[str, Any]:
        """The state that a test begins with."""
        raise NotImplementedError

    @property
    def state(self) -> Dict[str, Any]:
        return json.loads((self.folder / "state.json").read_text())

    def write(self, state: Dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state, indent=1))

    def change(self, **parts: Any) -> None:
        """Sets parts of the state."""
        self.write({**self.state, **parts})

    def tearDown(self) -> None:
        path = self.folder / "calls.jsonl"
        allowed = self.allowed()
        for line in path.read_text().splitlines() if path.exists() else []:
            call = json.loads(line)
            self.assertEqual(misshapen(call), [])
            if "input" in call:
                service, operation = call["words"][:2]
                self.assertIn(f"{service}:{operation.replace('-', '')}", allowed, "policy.json does not allow this")

    def allowed(self) -> List[str]:
        """The actions that the example's policy allows, in small letters."""
        policy = json.loads((ROOT / "examples" / self.example / "policy.json").read_text())
        actions = [statement["Action"] for statement in policy["Statement"]]
        return [one.lower() for action in actions for one in ([action] if isinstance(action, str) else action)]

    def calls(self, *words: str) -> List[List[str]]:
        """The calls so far that begin with these words, such as `ecs`, `update-service`."""
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [[call["program"], *call["words"]] for call in map(json.loads, lines)]
        wanted = list(words) if words and words[0] == "docker" else ["aws", *words]
        return [call for call in found if call[: len(wanted)] == wanted]

    @property
    def path(self) -> str:
        """Where programs are looked for: the stand-ins before everything else."""
        return f"{self.bin}:{os.environ['PATH']}"

    def script(self, verb: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs one verb as an order would."""
        with tempfile.TemporaryDirectory(dir=self.folder) as own:
            for name in ("home", "tmp", "events"):
                (Path(own) / name).mkdir()
            environment = {
                "PATH": self.path,
                "HOME": f"{own}/home",
                "TMPDIR": f"{own}/tmp",
                "LANG": "C.UTF-8",
                "AWS_EXE_SYS_EVENTS_DIR": f"{own}/events",
                "RUN_ID": "run-1",
                "ORDER_NUM": "0003",
                **self.variables,
                **variables,
            }
            done = subprocess.run(
                [sys.executable, "delivery/deliver.py", verb],
                cwd=self.code, env=environment, text=True, timeout=LIMIT, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self.events = [json.loads(file.read_text()) for file in sorted((Path(own) / "events").glob("*.json"))]
            left = [str(one) for one in (Path(own) / "tmp").iterdir()]
            self.assertEqual(left, [], "a script leaves no files behind")
        return done

    def succeeds(self, verb: str, **variables: str) -> str:
        done = self.script(verb, **variables)
        self.assertEqual(done.returncode, 0, f"{verb}:\n{done.stdout}")
        return done.stdout

    def fails(self, verb: str, *words: str, **variables: str) -> str:
        """It fails, with one line that has all these words, and no traceback."""
        done = self.script(verb, **variables)
        self.assertEqual(done.returncode, 1, f"{verb}:\n{done.stdout}")
        self.assertNotIn("Traceback", done.stdout)
        errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(errors), 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stdout)
        return done.stdout

    def binary(self) -> Path:
        """The engine's binary; without one the test is left out."""
        path: Optional[str] = os.environ.get("AWS_EXE")
        if not path:
            raise unittest.SkipTest("AWS_EXE names no binary of the engine")
        return Path(path)

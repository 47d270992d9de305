"""The checks of `scripts/check-infra`, which installs what they need and starts this module. One function a check.

    format   `terraform fmt -check` over every Terraform file
    parse    every module parses; in infra/ each variable and output says what it is; each variable is used; versions are pinned
    schema   `terraform validate` of every module against the schema of the AWS provider: unknown types and arguments,
             missing ones, references to what is not there
    tests    `terraform test` of the modules that have tests; the provider is mocked
    checkov  checkov over infra/, with each skipped check justified where it is skipped
    shell    shellcheck over every shell script; each disabled check has its reason; bash scripts are strict

A check gives the mistakes that it found; nothing is skipped without a word. Terraform's registry is not needed: the
provider is `stand_in_provider.py`.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Set, Tuple

import hcl2

from provider_schema import Block, Schemas
from stand_in_provider import StandIn, answer

# A reason shorter than this says nothing.
LEAST_REASON = 20
# Longest that one program may take: the slowest, checkov, takes about 20 s on two cores.
LIMIT = 300
# Providers that Terraform has in itself.
BUILT_IN = "terraform_"

TYPES = re.compile(r"^\s*(resource|data)\s+\"(\w+)\"\s+\"\w+\"\s*\{", re.MULTILINE)
SKIP = re.compile(r"checkov:skip=([A-Z0-9_]+)(?::(.*))?$", re.MULTILINE)
DISABLED = re.compile(r"#\s*shellcheck\s+disable=([A-Z0-9,]+)\s*(?:#\s*(.*))?$")
SHEBANG = re.compile(r"^#!\s*(?:/usr)?/bin/(?:env\s+)?(bash|sh|dash)\b")


class Place(NamedTuple):
    root: Path
    tools: Path
    terraform: List[str]

    def files(self, under: str = ".") -> List[Path]:
        """What is committed, or would be."""
        done = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", under], self.root)
        if done.returncode != 0:
            sys.exit(f"error: failed to list what is in {self.root}: {done.stderr.strip()}")
        return sorted(path for name in set(done.stdout.split("\0")) if name and (path := self.root / name).is_file())

    def modules(self) -> Dict[Path, List[Path]]:
        """Each folder with Terraform in it, and its files."""
        modules: Dict[Path, List[Path]] = {}
        for path in self.files():
            if path.suffix == ".tf":
                modules.setdefault(path.parent, []).append(path)
        return modules

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


# What was checked, for the line that is printed, and the mistakes.
Report = Tuple[str, List[str]]


def run(command: List[str], folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **more}
    try:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        sys.exit(f"error: {command[0]} did not end within {LIMIT} s in {folder}")


def lines(text: str) -> List[str]:
    return [line for line in text.splitlines() if line.strip()]


def check_format(place: Place) -> Report:
    files = [place.name(path) for path in place.files() if path.name.endswith((".tf", ".tftest.hcl", ".tfvars"))]
    if not files:
        return "no files", []
    done = run([*place.terraform, "fmt", "-check", "-diff", *files], place.root, **terraform_environment("."))
    if done.returncode == 0:
        return f"{len(files)} files", []
    return f"{len(files)} files", lines(done.stdout + done.stderr) or [f"terraform fmt ended with {done.returncode}"]


def unquoted(name: str) -> str:
    return name.strip('"')


def check_parse(place: Place) -> Report:
    mistakes: List[str] = []
    modules = place.modules()
    for folder, files in modules.items():
        mistakes += parse_module(place, folder, files)
    return f"{sum(len(files) for files in modules.values())} files of {len(modules)} modules", mistakes


def parse_module(place: Place, folder: Path, files: List[Path]) -> Iterator[str]:
    text = ""
    variables: Dict[str, str] = {}
    settings: List[dict] = []
    for path in files:
        here = path.read_text(encoding="utf-8")
        text += here
        try:
            document = hcl2.loads(here)
        except Exception as error:  # whatever the parser's own kinds of error are
            first = (lines(str(error)) or [type(error).__name__])[0]
            yield f"{place.name(path)}: does not parse: {first}"
            continue
        settings += document.get("terraform", [])
        for kind, wanted in (("variable", ("description", "type")), ("output", ("description",))):
            for declared in document.get(kind, []):
                for name, body in declared.items():
                    name = unquoted(name)
                    # Examples are small enough to speak for themselves.
                    described = place.name(path).startswith("infra/")
                    for argument in wanted:
                        if described and not body.get(argument):
                            yield f"{place.name(path)}: {kind} `{name}` has no {argument}"
                    if kind == "variable":
                        variables[name] = place.name(path)
    for name, where in variables.items():
        if not re.search(rf"\bvar\.{name}\b", text):
            yield f"{where}: variable `{name}` is not used"
    if not any(setting.get("required_version") for setting in settings):
        yield f"{place.name(folder)}: no `required_version` in a `terraform` block"
    if any(not name.startswith(BUILT_IN) for _, name in TYPES.findall(text)):
        providers = [provider for setting in settings for provider in setting.get("required_providers", [])]
        pinned = any("version" in body for all_of in providers for body in all_of.values() if isinstance(body, dict))
        if not pinned:
            yield f"{place.name(folder)}: no provider with a `version` in `required_providers`"


def terraform_environment(data: str) -> Dict[str, str]:
    # A developer's own settings (mirrors, overrides, arguments) must not change what is found here.
    return {
        "TF_CLI_CONFIG_FILE": os.devnull,
        "TF_DATA_DIR": data,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "NO_COLOR": "1",
        "TF_CLI_ARGS": "",
    }


def schemas_of(place: Place, files: List[Path]) -> Tuple[bytes, List[str]]:
    """The provider's answer for the types in these files, and the types that there are not."""
    schemas = Schemas(place.tools / "schema" / "package")
    found: Dict[str, Dict[str, Block]] = {"resource": {}, "data": {}}
    mistakes = []
    for path in files:
        for kind, name in TYPES.findall(path.read_text(encoding="utf-8")):
            if name.startswith(BUILT_IN) or name in found[kind]:
                continue
            block = schemas.resource(name) if kind == "resource" else schemas.data_source(name)
            if block is None:
                what = "resource type" if kind == "resource" else "data source"
                mistakes.append(f"{place.name(path)}: the AWS provider {schemas.version()} has no {what} `{name}`")
            else:
                found[kind][name] = block
    return answer(schemas.provider(), found["resource"], found["data"]), mistakes


def with_provider(place: Place, folders: Dict[Path, List[Path]], command: List[str]) -> List[str]:
    """Runs a subcommand in each folder, with the stand-in provider up."""
    mistakes: List[str] = []
    # Below /tmp and not below the tools: the path of a socket may have about 100 characters only.
    with tempfile.TemporaryDirectory(prefix="check-infra-") as scratch:
        for number, (folder, files) in enumerate(folders.items()):
            schemas, unknown = schemas_of(place, files)
            mistakes += unknown
            own = os.path.join(scratch, str(number))
            os.mkdir(own)
            with StandIn(schemas, own) as found_by:
                environment = {**terraform_environment(os.path.join(own, "data")), **found_by}
                for step in (["init", "-backend=false", "-input=false"], command):
                    done = run([*place.terraform, *step, "-no-color"], folder, **environment)
                    if done.returncode != 0:
                        what = lines(done.stdout + done.stderr) or [f"ended with {done.returncode}"]
                        mistakes += [f"{place.name(folder)}: {line}" for line in what]
                        break
    return mistakes


def check_schema(place: Place) -> Report:
    modules = place.modules()
    version = Schemas(place.tools / "schema" / "package").version()
    return f"{len(modules)} modules, AWS provider {version}", with_provider(place, modules, ["validate"])


def check_tests(place: Place) -> Report:
    tested = {folder: files for folder, files in place.modules().items() if any(folder.glob("tests/*.tftest.hcl"))}
    return f"{len(tested)} modules with tests", with_provider(place, tested, ["test"])


class Skip(NamedTuple):
    file: str
    line: int
    check: str
    reason: str


def check_checkov(place: Place) -> Report:
    """checkov itself takes a skip without a reason, and one of a check that would hold. So it is given a copy without any, and
    each failure has to meet a skip inside of its block.
    """
    if not (place.root / "infra").is_dir():
        return "no infra/", []
    mistakes: List[str] = []
    skips: List[Skip] = []
    with tempfile.TemporaryDirectory(prefix="check-infra-") as scratch:
        for path in place.files("infra"):
            copy = Path(scratch) / place.name(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix != ".tf":
                shutil.copyfile(path, copy)
                continue
            text = path.read_text(encoding="utf-8")
            for found in SKIP.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                skips.append(Skip(place.name(path), line, found.group(1), (found.group(2) or "").strip()))
            copy.write_text(text.replace("checkov:skip=", "skipped: "), encoding="utf-8")
        command = [str(place.tools / "checkov" / "bin" / "checkov"), "--directory", "infra", "--framework", "terraform"]
        # `--skip-download` keeps it from asking its makers' service for texts. Settings in a home folder are not for
        # all.
        done = run([*command, "--output", "json", "--skip-download"], Path(scratch), LOG_LEVEL="ERROR", HOME=scratch)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return "no report", lines(done.stdout + done.stderr)[-5:] or [f"checkov ended with {done.returncode}"]
    # Without anything to look at it gives a summary only.
    results = report.get("results", {})
    for error in results.get("parsing_errors", []):
        mistakes.append(f"{error}: checkov cannot parse it")
    used: Set[Skip] = set()
    for failed in results.get("failed_checks", []):
        file = f"infra{failed['file_path']}"
        first, last = failed["file_line_range"]
        own = {skip for skip in skips if skip[0] == file and first <= skip.line <= last and skip.check == failed["check_id"]}
        used |= own
        if not own:
            mistakes.append(f"{file}:{first}: {failed['check_id']} {failed['check_name']} ({failed['resource']})")
    for skip in skips:
        if len(skip.reason) < LEAST_REASON:
            mistakes.append(f"{skip.file}:{skip.line}: {skip.check} is skipped without a reason")
        if skip not in used:
            mistakes.append(f"{skip.file}:{skip.line}: {skip.check} is skipped, and would not fail there")
    passed = report.get("summary", report).get("passed", 0)
    return f"{passed} passed, {len(skips)} skipped with a reason", mistakes


def shell_scripts(place: Place) -> Dict[Path, str]:
    """Each shell script with its shell."""
    scripts = {}
    for path in place.files():
        with path.open("rb") as file:
            first = file.readline(200).decode("utf-8", "replace")
        found = SHEBANG.match(first)
        if found:
            scripts[path] = found.group(1)
        elif path.suffix in (".sh", ".bash"):
            scripts[path] = "bash"
    return scripts


def check_shell(place: Place) -> Report:
    scripts = shell_scripts(place)
    mistakes: List[str] = []
    for path, shell in scripts.items():
        text = path.read_text(encoding="utf-8")
        before = ""
        for number, line in enumerate(text.splitlines(), 1):
            found = DISABLED.search(line)
            if found and len(found.group(2) or "") < LEAST_REASON and not (before.startswith("#") and len(before) > LEAST_REASON):
                mistakes.append(f"{place.name(path)}:{number}: {found.group(1)} is disabled without a reason")
            before = line.strip()
        strict = "set -euo pipefail" if shell == "bash" else "set -eu"
        # What is sourced has the settings of whoever sources it.
        if os.access(path, os.X_OK) and not re.search(rf"^{strict}\b", text, re.MULTILINE):
            mistakes.append(f"{place.name(path)}: no `{strict}`")
        if shell == "bash" and not text.startswith("#!") and "# shellcheck shell=" not in text:
            mistakes.append(f"{place.name(path)}: neither a first line `#!` nor `# shellcheck shell=bash`")
    if scripts:
        names = [place.name(path) for path in scripts]
        shellcheck = str(place.tools / "venv" / "bin" / "shellcheck")
        done = run([shellcheck, "--format", "gcc", "--external-sources", "--source-path", "SCRIPTDIR", *names], place.root)
        if done.returncode != 0:
            mistakes += lines(done.stdout + done.stderr) or [f"shellcheck ended with {done.returncode}"]
    return f"{len(scripts)} scripts", mistakes


CHECKS: Dict[str, Callable[[Place], Report]] = {
    "format": check_format,
    "parse": check_parse,
    "schema": check_schema,
    "tests": check_tests,
    "checkov": check_checkov,
    "shell": check_shell,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="check_infra")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--terraform", default="")
    parser.add_argument("checks", nargs="+", choices=sorted(CHECKS))
    args = parser.parse_args()
    bundled = [sys.executable, str(Path(__file__).with_name("terraform.py"))]
    place = Place(args.root, args.tools, [args.terraform] if args.terraform else bundled)
    failed = False
    for name in args.checks:
        begun = time.monotonic()
        what, mistakes = CHECKS[name](place)
        verdict = f"{len(mistakes)} lines of mistakes" if mistakes else "ok"
        print(f"{name:<8} {verdict}: {what}, {time.monotonic() - begun:.0f} s", flush=True)
        for mistake in mistakes:
            print(f"    {mistake}", flush=True)
        failed = failed or bool(mistakes)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

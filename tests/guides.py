"""Follows pages with examples, and compares the results on the page with the real ones.

These are the words in the comments before a block, beside those of tests/documents.py:

* ``api``: the properties of ``spec`` in the API of the page's Promise; ``request``: the request of a developer;
* ``pipeline``: the ``spec`` of a JinjaPipeline; ``template``: the text of its only file, ``object.yaml``;
  ``destinations``: the platform's Destinations;
* ``renders``: the files that are rendered; ``fails``: the failure in one sentence; ``says``: the status that the
  pipeline writes; ``places``: which file goes where; ``waits``: what each pipeline waits for;
* ``start: WORD``: a command that keeps running in another terminal after it has printed the word.

``python -m tests.guides PAGE…`` writes the real results into the pages, where they differ. Read the diff afterwards.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.documents import ELIDED, Block, blocks, matches, needs_cluster
from tests.documents import ROOT as REPOSITORY
from troth.authoring.home import load_home
from troth.authoring.rendering.destinations import read_destinations
from troth.authoring.rendering.requests import Rendering, Requests
from troth.authoring.workers.bounded_worker import BoundedWorker
from troth.dev.binaries import find_binaries
from troth.engine.yaml.emit import dump_document

RENDERED: Final = frozenset({"renders", "fails", "says", "places", "waits"})
SHOWN: Final = RENDERED | {"output"}
_GROUP: Final = "web.example.com"
_SECONDS: Final = re.compile(r"\bin \d+\.\d+ s\b")
_TROTHS_OWN: Final = frozenset(
    {
        "conditions",
        "kratix",
        "observedGeneration",
        "promiseVersion",
        "troth",
        "workflows",
        "workflowsFailed",
        "workflowsSucceeded",
    }
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A block that shows a result, and the real result."""

    block: Block
    real: str

    @property
    def agrees(self) -> bool:
        """Whether the page shows the real result."""
        return matches(self.block.text, self.real)


@dataclass(slots=True)
class Guide:
    """What the blocks of a page have defined so far: an API, a pipeline, a request."""

    folder: Path
    worker: BoundedWorker
    api: dict[str, Any] = field(default_factory=dict)
    pipeline: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    destinations: Path | None = None

    def take(self, block: Block) -> None:
        """Read a block."""
        if block.comment == "api":
            self.api = yaml.safe_load(block.text)
        elif block.comment == "request":
            self.request = yaml.safe_load(block.text)
        elif block.comment == "pipeline":
            self.pipeline = yaml.safe_load(block.text)
        elif block.comment == "template":
            self.pipeline = {"files": [{"path": "object.yaml", "template": block.text}]}
        elif block.comment == "destinations":
            self.destinations = self.folder / "destinations.yaml"
            self.destinations.write_text(block.text, "utf-8")

    def _promise(self) -> dict[str, Any]:
        schema = {"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", **self.api}}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        kind = self.request["kind"]
        plural = f"{kind.lower()}s"
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{_GROUP}"},
            "spec": {
                "group": _GROUP,
                "names": {"kind": kind, "plural": plural},
                "scope": "Namespaced",
                "versions": [version],
            },
        }
        pipeline = {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "JinjaPipeline",
            "metadata": {"name": "guide"},
            "spec": self.pipeline,
        }
        return {
            "apiVersion": "platform.kratix.io/v1alpha1",
            "kind": "Promise",
            "metadata": {"name": kind.lower()},
            "spec": {
                "api": definition,
                "destinationSelectors": [{"matchLabels": {"environment": "dev"}}],
                "workflows": {"resource": {"configure": [pipeline]}},
            },
        }

    def write(self) -> Path:
        """The Promise of the page as it is now, as a file."""
        file = self.folder / "promise.yaml"
        file.write_text(yaml.safe_dump(self._promise(), sort_keys=False), "utf-8")
        return file

    def real(self, word: str) -> str:
        """The real result for a word."""
        file = self.write()
        platform = read_destinations(self.destinations) if self.destinations else None
        requests = Requests(load_home(file), destinations=platform)
        return _told(word, requests.render_with(self.worker.render_now, self.request))


def _told(word: str, rendering: Rendering) -> str:
    if word == "fails":
        refusals = "".join(f"{refusal}\n" for refusal in rendering.refusals)
        return refusals or (f"{rendering.failure.sentence()}\n" if rendering.failure else "nothing fails\n")
    assert not rendering.refusals, rendering.refusals
    assert rendering.failure is None, rendering.failure.sentence()
    if word == "says":
        return dump_document({key: value for key, value in rendering.status.items() if key not in _TROTHS_OWN})
    if word == "waits":
        return dump_document(list(rendering.status["kratix"]["workflows"]["pipelines"]))
    if word == "places":
        rows = [(place.destination, path) for place in rendering.placements for path in place.contents]
        return "".join(f"{destination}: {path}\n" for destination, path in sorted(rows))
    if list(rendering.files) == ["object.yaml"]:
        return rendering.files["object.yaml"].decode()
    return "".join(f"# {path}\n{content.decode()}" for path, content in rendering.files.items())


class Terminal:
    """A shell in which the commands of a page are run. Its folder and variables are kept from block to block.

    Args:
        folder: the folder in which it starts, which is also the home.
        programs: a folder of programs that are found before troth, git and those of the system.
        variables: more variables, beside PATH and HOME.
    """

    def __init__(self, folder: Path, *, programs: Path | None = None, **variables: str) -> None:
        git = Path(shutil.which("git") or "/usr/bin/git").parent
        folders = [*([programs] if programs else []), git, sysconfig.get_path("scripts"), os.defpath]
        self._start = {
            "PATH": os.pathsep.join(map(str, folders)),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            **variables,
        }
        self._state = Path(tempfile.mkdtemp(prefix="troth-page-"))
        (self._state / "folder").write_text(f"{folder}\n", "utf-8")
        (self._state / "variables").touch()
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.send_signal(signal.SIGINT)
        for process in self._running:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._state)

    @property
    def folder(self) -> Path:
        """The current folder of the shell."""
        return Path((self._state / "folder").read_text("utf-8").rstrip("\n"))

    def run(self, block: Block, *, within: float = 120) -> str:
        """Runs a block up to its first error. Returns what it printed on both streams.

        Raises:
            AssertionError: it did not end as the page says.
        """
        keep = f"code=$?; pwd >{self._state}/folder; export -p >{self._state}/variables; exit $code"
        done = subprocess.run(
            ["sh", "-eu", "-c", f". {self._state}/variables\ntrap '{keep}' EXIT\n{block.text}"],
            cwd=self.folder,
            env=self._start,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )
        said = f"{block.where} ended with code {done.returncode}\n{block.text}\n{done.stdout}"
        assert (done.returncode != 0) == (block.argument == "fails"), said
        return done.stdout

    def start(self, block: Block, *, within: float = 180) -> str:
        """Starts a command in another terminal, and waits for the word in the comment."""
        output = self._state / f"background-{len(self._running)}"
        with output.open("wb") as file:
            self._running.append(
                subprocess.Popen(
                    shlex.split(block.text),
                    cwd=self.folder,
                    env=self._start,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.DEVNULL,
                )
            )
        end = time.monotonic() + within
        while block.argument not in (text := output.read_text("utf-8")) or not text.endswith("\n"):
            assert self._running[-1].poll() is None, f"{block.where} ended: {text}"
            assert time.monotonic() < end, f"{block.where} did not say {block.argument}: {text}"
            time.sleep(0.05)
        return text


def write_file(block: Block, folder: Path) -> None:
    """Writes a block to the file that its comment names."""
    target = folder / block.argument
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(block.text, "utf-8")


def results(page: Path, **variables: str) -> Iterator[Shown]:
    """Follows a page from an empty folder, and yields every result that it shows with the real one.

    If the commands of the page name `promises/`, the folder has a copy of the library.

    Args:
        page: the page to follow.
        variables: more variables for the shell.
    """
    with tempfile.TemporaryDirectory() as name, Terminal(Path(name), programs=None, **variables) as terminal:
        if any(block.comment == "run" and "promises/" in block.text for block in blocks(page)):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / "promises", Path(name) / "promises", ignore=ignored)
        yield from follow(page, terminal)


def follow(page: Path, terminal: Terminal) -> Iterator[Shown]:
    """Follows a page in a terminal, and yields every result that it shows with the real one.

    Raises:
        AssertionError: a command did not end as the page says.
    """
    printed = ""
    with tempfile.TemporaryDirectory() as name, BoundedWorker() as worker:
        guide = Guide(Path(name), worker)
        for block in blocks(page):
            if block.comment == "file":
                write_file(block, terminal.folder)
            elif block.comment == "run":
                printed = terminal.run(block)
            elif block.comment == "start":
                printed = terminal.start(block)
            elif block.comment == "output":
                yield Shown(block, printed)
            elif block.comment in RENDERED:
                yield Shown(block, guide.real(block.comment))
            else:
                guide.take(block)


def told(wrong: Iterable[Shown]) -> str:
    """What is wrong on a page, and how to correct it; empty if nothing is."""
    found = [shown for shown in wrong if not shown.agrees]
    if not found:
        return ""
    page = found[0].block.page.relative_to(REPOSITORY)
    parts = [f"{shown.block.where} shows\n{shown.block.text}and it is\n{shown.real}" for shown in found]
    return "\n\n".join([*parts, f"`python -m tests.guides {page}` writes what it is into the page"])


def programs() -> dict[str, str]:
    """Variables that name the control plane's programs, so that they are not downloaded again for a page."""
    return {"KUBEBUILDER_ASSETS": str(find_binaries().kubectl.parent)}


def _elided(before: Sequence[str], real: Sequence[str]) -> list[str]:
    """The real result, without lines that the page left out before, if the lines around them are still there."""
    lines = list(real)
    for index in range(1, len(before) - 1):
        if before[index] == ELIDED and before[index - 1] in lines:
            start = lines.index(before[index - 1]) + 1
            if before[index + 1] in lines[start:]:
                lines[start : lines.index(before[index + 1], start)] = [ELIDED]
    return lines


def rewrite(page: Path) -> int:
    """Writes the real results into a page. Returns how many blocks differed."""
    lines = page.read_text("utf-8").split("\n")
    variables = programs() if needs_cluster(page) else {}
    different = [shown for shown in results(page, **variables) if not shown.agrees]
    for shown in reversed(different):
        first = shown.block.line - 1
        empty = lines[first].startswith("```")
        last = first if empty else first + shown.block.text.count("\n")
        lines[first:last] = _elided(lines[first:last], _SECONDS.sub("in … s", shown.real.rstrip("\n")).split("\n"))
    page.write_text("\n".join(lines), "utf-8")
    return len(different)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        target = Path(argument).resolve()
        print(f"{target.relative_to(REPOSITORY)}: {rewrite(target)} blocks written")

"""The demo itself, chapter by chapter. Each shows something and then proves that it happened.

What is shown comes from commands that people would type. What is proved is looked up separately, in the API server and
in the repository, so that a demo that looks good but is wrong ends with a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from troth.dev.demo.commands import Commands
from troth.dev.demo.evidence import Branch, Journal
from troth.dev.demo.proof import Proof
from troth.dev.demo.screen import Screen, excerpt
from troth.dev.demo.stage import Stage

_POSTGRESQL = "promises/postgresql"
_ENVIRONMENT = "promises/environment"
_SMALL = "promises/postgresql/examples/small.yaml"
_MEDIUM = "promises/postgresql/examples/medium.yaml"
_TEAM = "promises/environment/examples/team.yaml"
_PROMISES = "/apis/platform.kratix.io/v1alpha1/promises"
_API = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/postgresqls.database.example.com"
_REQUESTS = "/apis/database.example.com/v1/namespaces/default/postgresqls"
_STAGING = "/apis/platform.example.com/v1/namespaces/default/environments/staging"
_DEPENDENCIES = "worker/dependencies/postgresql/5058f/static/postgresql-dependencies.yaml"
_MANIFEST_LINES = 18
_APPLY = ("kubectl", "apply", "--server-side", "-f", "-")
_TIMEOUT = "--timeout=30s"


class Tour:
    """One run of the demo.

    Args:
        stage: what the demo starts. Nothing has been started yet.
        screen: the screen on which it is shown.
    """

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._times: list[tuple[str, str, float]] = []

    def run(self) -> None:
        """Run all chapters, up to the table at the end.

        Raises:
            DevError: something did not start, or did not happen.
        """
        self._screen.title("Troth: from kubectl apply to manifests in Git. All that runs here is real.")
        self._screen.chapter("A control plane, the operator, and two places to write to")
        self._screen.gap()
        self._start(
            "etcd and kube-apiserver run, on this machine and without Docker", self._stage.start_control_plane
        )
        self._journal = Journal(self._stage.plane.audit_log)
        self._commands = Commands(
            folder=self._stage.folder,
            environment=self._stage.plane.environment(),
            progress=self._stage.progress,
            announce=self._screen.command,
            show=self._screen.output,
        )
        with Branch(self._stage.repository) as self._branch:
            self._proof = Proof(self._stage, self._branch)
            self._start("the operator runs, as a process of its own", self._stage.start_operator)
            self._destinations()
            self._smallest_promise()
            self._publish()
            self._ask()
            self._look()
            self._edit()
            self._refuse()
            self._break()
            self._repair()
            self._delete()
        self._report()

    # ---- chapters

    def _destinations(self) -> None:
        self._kubectl("apply", "-f", "destinations.yaml")
        self._kubectl("wait", "--for=condition=Ready", "destinations", "--all", _TIMEOUT)
        self._kubectl("get", "destinations", "-L", "environment")
        self._screen.say(
            "worker is a folder in a Git repository, written over http with the password of a Secret; "
            "platform is this cluster itself."
        )

    def _smallest_promise(self) -> None:
        self._screen.chapter("The smallest Promise: an API, and nothing behind it")
        since = time.time()
        self._kubectl("apply", "-f", "seed-promise.yaml")
        self._kubectl("wait", "--for=condition=Available", "promise/postgresql", _TIMEOUT)
        asked = self._asked("promises", "postgresql", since)
        available = self._journal.last_answer("promises", "postgresql", since)
        self._times.append(("the smallest Promise", "its API is there", available - asked))
        self._screen.say("A request that leaves the version out gets the API's default. A size is one of three.")
        self._kubectl("apply", "-f", "first.yaml")
        self._kubectl("wait", "--for=condition=Ready", "postgresql/first", _TIMEOUT)
        version = self._kubectl("get", "postgresql", "first", "-o", "jsonpath={.spec.version}")
        self._proof.require(version == "16", f'a request without a version was to get "16", and got {version!r}')
        said = self._kubectl(*_patch("first", '{"spec":{"size":"huge"}}'), refused=True)
        self._proof.require(
            'Unsupported value: "huge"' in said, f"the size should have been refused by name, not: {said}"
        )
        self._screen.say("With a Promise go its requests and its API.")
        self._kubectl("delete", "promise", "postgresql", _TIMEOUT)
        self._proof.wait_gone("the API of the Promise postgresql", _API)

    def _publish(self) -> None:
        self._screen.chapter("Two Promises with templates behind their APIs")
        since = time.time()
        self._publish_built(_POSTGRESQL)
        self._screen.say(
            "A label says where a Promise's manifests go. Environments are to be made in this cluster:"
        )
        self._publish_edited("s/environment: dev/environment: platform/", _ENVIRONMENT)
        self._kubectl("wait", "--for=condition=Available", "promises", "--all", _TIMEOUT)
        for name in ("postgresql", "environment"):
            self._proof.wait_settled(f"Promise {name}", f"{_PROMISES}/{name}", "Available")
        self._proof.wait(
            "the dependencies of the Promise postgresql in Git",
            lambda: _DEPENDENCIES in self._branch.files() or None,
        )
        asked, arrived = self._asked("promises", "postgresql", since), self._branch.arrival_of_file(_DEPENDENCIES)
        self._times.append(("Promise postgresql", "what it depends on is in Git", arrived - asked))

    def _ask(self) -> None:
        self._screen.chapter("Two databases and an environment are asked for")
        self._commands.run("cat", _SMALL)
        since = time.time()
        self._kubectl("apply", "-f", _SMALL, "-f", _MEDIUM, "-f", _TEAM)
        requests = ("postgresql/orders", "postgresql/shop", "environment/staging")
        self._kubectl("wait", "--for=condition=Ready", *requests, _TIMEOUT)
        for name, files in (("orders", ["cluster.yaml"]), ("shop", ["cluster.yaml", "pooler.yaml"])):
            commit = self._proof.commit(name)
            self._proof.require_files(name, files, commit)
            self._note_commit(f"PostgreSQL {name}", name, commit, since)
        self._proof.wait_settled("Environment staging", _STAGING, "Ready")
        made = [
            self._journal.first_answer(resource, name, since)
            for resource, name in (
                ("namespaces", "payments-staging"),
                ("resourcequotas", "environment"),
                ("limitranges", "environment"),
                ("networkpolicies", "default-deny"),
            )
        ]
        asked = self._asked("environments", "staging", since)
        self._times.append(("Environment staging", "its objects are in the cluster", max(made) - asked))

    def _look(self) -> None:
        self._screen.chapter("What came of it: manifests in Git, objects in the cluster, a status")
        self._git("ls-tree", "-r", "--name-only", "main")
        show = partial(self._screen.output, limit=_MANIFEST_LINES)
        self._git("show", f"main:{self._proof.manifest('orders')}", show=show)
        kinds = {"namespace/": 1, "resourcequota/": 1, "limitrange/": 1, "networkpolicy.": 3, "rolebinding.": 3}
        found = self._kubectl(
            *("get", "ns,quota,limits,netpol,rolebinding", "-A", "-o", "name"),
            *("-l", "platform.example.com/team=payments"),
        )
        for kind, number in kinds.items():
            seen = sum(line.startswith(kind) for line in found.splitlines())
            self._proof.require(seen == number, f"{number} of {kind} were to be in the cluster, not {seen}")
        self._show_status("message", "troth.phase", "troth.placements")

    def _edit(self) -> None:
        self._screen.chapter("An edit, and the commit that follows")
        before, written, since = self._branch.head, self._proof.commit("orders"), time.time()
        self._kubectl(*_patch("orders", '{"spec":{"version":"17"}}'))
        self._kubectl("wait", "--for=condition=Ready", "postgresql/orders", _TIMEOUT)
        commit = self._proof.commit("orders", after=written)
        self._git("show", "--format=%h %s", "--unified=1", commit[:10], show=self._screen.diff)
        path = self._proof.manifest("orders")
        changed = self._branch.changed(before, commit)
        self._proof.require(changed == [path], f"only {path} was to change, not: {', '.join(changed)}")
        self._proof.require("postgresql:17" in self._branch.read(path), f"{path} was to name the image of 17")
        self._note_commit("orders: version 17", "orders", commit, since)

    def _refuse(self) -> None:
        self._screen.chapter("A Promise refuses in its own words what it cannot keep")
        before, since = self._branch.head, time.time()
        self._kubectl(*_patch("orders", '{"spec":{"version":"9"}}'))
        self._kubectl("wait", _failure("Refused"), "postgresql/orders", _TIMEOUT)
        self._kubectl("get", "postgresql", "orders", "-o", "jsonpath={.status.message}")
        self._note_status("orders: version 9", "its status says why not", ["orders"], since)
        self._screen.say("The files stay as they were: neither the refused edit nor undoing it makes a commit.")
        self._kubectl(*_patch("orders", '{"spec":{"version":"17"}}'))
        self._kubectl("wait", "--for=condition=Ready", "postgresql/orders", _TIMEOUT)
        self._proof.wait_settled("PostgreSQL orders", f"{_REQUESTS}/orders", "Ready")
        self._proof.require_no_commit(before)

    def _break(self) -> None:
        self._screen.chapter("A mistake in a template, and what a developer reads")
        before, since = self._branch.head, time.time()
        self._publish_edited("s/size.storage/size.storrage/", _POSTGRESQL)
        self._kubectl("wait", _failure("TemplateUndefined"), "postgresql/orders", "postgresql/shop", _TIMEOUT)
        self._show_status("message", "troth.failure")
        failure = self._proof.status("orders").fields["failure"]
        for field in ("pipeline", "file", "line", "expression", "message"):
            self._proof.require(
                bool(failure.get(field)), f"status.troth.failure was to say its {field}: {failure}"
            )
        self._note_status("a mistake in a template", "both requests say where", ["orders", "shop"], since)
        self._proof.require_no_commit(before)

    def _repair(self) -> None:
        self._screen.say("Repaired, it renders both requests again. No file differs, so there is no commit.")
        before, since = self._branch.head, time.time()
        self._publish_built(_POSTGRESQL)
        self._kubectl("wait", "--for=condition=Ready", "postgresql/orders", "postgresql/shop", _TIMEOUT)
        for name in ("orders", "shop"):
            self._proof.wait_settled(f"PostgreSQL {name}", f"{_REQUESTS}/{name}", "Ready")
        self._note_status("the mistake repaired", "both requests are Ready", ["orders", "shop"], since)
        self._proof.require_no_commit(before)

    def _delete(self) -> None:
        self._screen.chapter("A delete: first the files go, then the request")
        before, since = self._branch.head, time.time()
        self._kubectl("delete", "postgresql", "orders", _TIMEOUT)
        self._proof.wait_gone("PostgreSQL orders", f"{_REQUESTS}/orders")
        commit = self._branch.head
        self._proof.require(commit != before, "the deletion was to make a commit")
        self._proof.require(not self._proof.files("orders"), "no file of PostgreSQL orders was to be left")
        self._git("show", "--format=%h %s", "--stat=80", commit[:10])
        asked, arrived = self._asked("postgresqls", "orders", since), self._branch.arrival(commit)
        released = self._journal.last_answer("postgresqls", "orders", since)
        self._proof.require(arrived < released, "the files were to be gone before the finalizer")
        self._times.append(("orders deleted", f"its files are gone: {commit[:7]}", arrived - asked))
        self._times.append(("", "the request is gone", released - asked))

    def _report(self) -> None:
        self._screen.chapter("How long it took, from apply to commit")
        self._screen.table(
            ("What was applied", "What came of it", "After"),
            [(what, outcome, f"{seconds * 1000:.0f} ms") for what, outcome, seconds in self._times],
        )
        self._screen.say(
            "Counted from the API server's answer to kubectl (its audit log) until the branch had the commit, or "
            "until the API server had the object or the status."
        )

    # ---- showing

    def _start(self, what: str, start: Callable[[], None]) -> None:
        started = time.monotonic()
        start()
        self._screen.output(f"{what}: {time.monotonic() - started:.1f} s")

    def _kubectl(self, *arguments: str, **options: Any) -> str:
        return self._commands.run("kubectl", *arguments, **options)

    def _git(self, *arguments: str, **options: Any) -> str:
        return self._commands.run("git", "-C", self._stage.repository.name, *arguments, **options)

    def _publish_built(self, promise: str) -> None:
        self._commands.run("troth", "build", promise, feeding=(_APPLY,))

    def _publish_edited(self, edit: str, promise: str) -> None:
        self._commands.run("troth", "build", promise, feeding=(("sed", edit), _APPLY))

    def _show_status(self, *fields: str) -> None:
        paths = [f"status.{field}" for field in fields]
        self._kubectl(
            *("get", "postgresql", "orders", "-o", "yaml"),
            show=lambda text: self._screen.output(excerpt(text, *paths)),
        )

    # ---- times

    def _asked(self, resource: str, name: str, since: float) -> float:
        return self._journal.asked(resource, name, since)

    def _note_commit(self, what: str, name: str, commit: str, since: float) -> None:
        seconds = self._branch.arrival(commit) - self._asked("postgresqls", name, since)
        self._times.append((what, f"commit {commit[:7]}", seconds))

    def _note_status(self, what: str, outcome: str, names: list[str], since: float) -> None:
        """Note how long it took from kubectl's write to the Promise, or to a request, to the last request's status."""
        resource, name = ("postgresqls", names[0]) if len(names) == 1 else ("promises", "postgresql")
        said = max(self._journal.last_answer("postgresqls", name, since) for name in names)
        self._times.append((what, outcome, said - self._asked(resource, name, since)))


def _patch(name: str, patch: str) -> tuple[str, ...]:
    return ("patch", "postgresql", name, "--type=merge", "-p", patch)


def _failure(reason: str) -> str:
    return f"--for=jsonpath={{.status.troth.failure.reason}}={reason}"

"""Whatever is wrong with an object, the object itself says so: which field, and what to do; and an Event does."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.operators import OperatorProcess, running_operator
from tests.platforms import (
    Platform,
    Repository,
    all_files,
    api_of,
    condition,
    destination,
    events_of,
    failure,
    git_store,
    is_ready,
    promise,
)
from tests.waiting import eventually
from troth.api import Resource
from troth.api.resources import (
    DESTINATION,
    DIRECTORY_STATE_STORE,
    GIT_STATE_STORE,
    KUBERNETES_STATE_STORE,
    NAMESPACE,
    PROMISE,
    SECRET,
    WORK,
    WORK_PLACEMENT,
)
from troth.dev import AuditLog, ControlPlane
from troth.dev.git_server import GitServer, git
from troth.kube import Client, Conflict

Object = dict[str, Any]


@dataclass(frozen=True)
class Running:
    """The operator that runs for all tests of this file."""

    process: OperatorProcess
    folder: Path


@pytest.fixture(scope="module")
def running(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stores")
    flags = ("--local-stores", folder, "--store-poll", "1", "--failing-store-poll", "0.5")
    with running_operator(control_plane, folder, *flags) as process:
        yield Running(process, folder)


@pytest.fixture
async def platform(client: Client, running: Running) -> AsyncIterator[Platform]:
    platform = Platform(client)
    yield platform
    await platform.clean()


@pytest.fixture
async def repository(platform: Platform, running: Running, unique: str) -> Repository:
    """A repository with a store and a destination whose label is ``for: <unique>``."""
    repository = Repository(running.folder / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    return repository


async def told(
    platform: Platform, resource: Resource, name: str, *words: str, reason: str = "", namespace: str = ""
) -> Mapping[str, Any]:
    """Waits until an object's Ready is False and holds all the words, and an Event holds them, too."""

    def says(live: Mapping[str, Any]) -> bool:
        ready = condition(live, "Ready")
        return (
            ready.get("status") == "False"
            and reason in ("", ready.get("reason"))
            and all(word in ready["message"] for word in words)
        )

    live = await platform.wait(resource, name, says, namespace=namespace)

    async def event() -> bool:
        return any(
            found["type"] == "Warning" and all(word in found["note"] for word in words)
            for found in await events_of(platform.client, live)
        )

    await eventually(event, f"an Event about {resource.kind} {name} that says {words}")
    return live


# ---- Promises

Edit = Callable[[Object], None]


def api_is_no_definition(spec: Object) -> None:
    spec["api"] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}


def no_storage_version(spec: Object) -> None:
    spec["api"]["spec"]["versions"][0]["storage"] = False


def cluster_scoped(spec: Object) -> None:
    spec["api"]["spec"]["scope"] = "Cluster"


def another_name(spec: Object) -> None:
    spec["api"]["metadata"]["name"] = "things.example.com"


def no_structural_schema(spec: Object) -> None:
    schema = spec["api"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"] = {"size": {"type": "sting"}}


def unknown_kind(spec: Object) -> None:
    spec["workflows"]["resource"]["configure"][0]["kind"] = "JinjaPipelin"


def container_pipeline(spec: Object) -> None:
    spec["workflows"]["resource"]["configure"][0] = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "instance"},
        "spec": {"containers": [{"name": "main", "image": "example.com/main:v1"}]},
    }


def unknown_field(spec: Object) -> None:
    spec["workflows"]["resource"]["configure"][0]["spec"]["flies"] = []


def unknown_field_of_a_file(spec: Object) -> None:
    spec["workflows"]["resource"]["configure"][0]["spec"]["files"][0]["forEeach"] = "{{ spec.items }}"


def two_files_with_one_path(spec: Object) -> None:
    files = spec["workflows"]["resource"]["configure"][0]["spec"]["files"]
    files.append({"path": "./object.yaml", "template": "kind: Other\n"})


def a_path_that_leaves(spec: Object) -> None:
    spec["workflows"]["resource"]["configure"][0]["spec"]["files"][0]["path"] = "../object.yaml"


def two_pipelines_with_one_name(spec: Object) -> None:
    configure = spec["workflows"]["resource"]["configure"]
    configure.append(configure[0])


def a_dependency_without_name(spec: Object) -> None:
    spec["dependencies"] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {}}]


PROMISES: Mapping[Edit, tuple[str, ...]] = {
    api_is_no_definition: ("spec.api", "'ConfigMap'", "kind CustomResourceDefinition"),
    no_storage_version: ("spec.api.spec.versions", "no version has storage: true", "exactly one version"),
    cluster_scoped: ("spec.api.spec.scope", "'Cluster'", "must be Namespaced"),
    another_name: ("spec.api.metadata.name", "'things.example.com'", "the plural and the group"),
    no_structural_schema: ("spec.api", "properties[size].type", "sting"),
    unknown_kind: ("spec.workflows.resource.configure[0].kind", "'JinjaPipelin'", "use JinjaPipeline"),
    container_pipeline: (
        "spec.workflows.resource.configure[0].kind",
        "container pipelines are not supported yet",
        "JinjaPipeline",
    ),
    unknown_field: ("spec.workflows.resource.configure[0].spec.flies", "not a known field", "did you mean files?"),
    unknown_field_of_a_file: ("configure[0].spec.files[0].forEeach", "did you mean forEach?"),
    two_files_with_one_path: ("configure[0].spec.files[1].path", "also the path of files[0]", "its own"),
    a_path_that_leaves: ("configure[0].spec.files[0].path", "leaves the request's folder", "without '..'"),
    two_pipelines_with_one_name: ("configure[1].metadata.name", "two pipelines are named 'instance'", "its own"),
    a_dependency_without_name: ("spec.dependencies[0].metadata.name", "is missing", "needs a name"),
}


async def replace_spec(platform: Platform, name: str, spec: Mapping[str, Any]) -> None:
    """Gives a Promise another spec, as `kubectl replace` does: whoever meets a write of the operator asks again."""

    async def replaced() -> bool:
        live = await platform.client.get(PROMISE, name)
        try:
            await platform.client.replace(PROMISE, {**live, "spec": spec})
        except Conflict:
            return False
        return True

    await eventually(replaced, f"the Promise {name} has another spec")


@pytest.mark.parametrize("edit", PROMISES, ids=lambda edit: edit.__name__)
async def test_a_promise_names_the_field_that_is_wrong_and_the_remedy(
    platform: Platform, unique: str, edit: Edit
) -> None:
    wrong = promise(unique)
    edit(wrong["spec"])
    await platform.make(PROMISE, wrong)
    live = await told(platform, PROMISE, unique, *PROMISES[edit], reason="InvalidPromise")
    assert condition(live, "Available")["status"] == "False"
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    await replace_spec(platform, unique, promise(unique)["spec"])
    await platform.wait(PROMISE, unique, lambda live: condition(live, "Ready").get("status") == "True")


async def test_two_promises_with_one_api_are_told_whose_it_is(platform: Platform, unique: str) -> None:
    await platform.publish(promise(unique))
    second = promise(unique)
    second["metadata"]["name"] = f"{unique}second"
    await platform.make(PROMISE, second)
    await told(
        platform, PROMISE, f"{unique}second", "spec.api.metadata.name", f"the Promise {unique}", "another name"
    )
    await platform.delete(PROMISE, unique)
    await platform.gone(PROMISE, unique)
    await platform.wait(
        PROMISE, f"{unique}second", lambda live: condition(live, "Ready").get("status") == "True", within=30
    )


async def test_an_api_cannot_be_renamed_while_it_is_used(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await platform.ready(unique, "orders", namespace)
    renamed = promise(unique)
    renamed["spec"]["api"]["metadata"]["name"] = f"others.{unique}.example.com"
    renamed["spec"]["api"]["spec"]["names"] = {"kind": "Other", "plural": "others"}
    await replace_spec(platform, unique, renamed["spec"])
    await told(
        platform, PROMISE, unique, "spec.api", "1 of its requests exist", "restore it", reason="InvalidPromise"
    )
    assert is_ready(await platform.client.get(api_of(unique), "orders", namespace))
    await platform.delete(api_of(unique), "orders", namespace=namespace)
    await platform.gone(api_of(unique), "orders", namespace=namespace)
    await platform.wait(PROMISE, unique, lambda live: condition(live, "Ready").get("status") == "True", within=30)


# ---- requests


async def test_a_request_whose_files_have_one_path_says_which_and_what_to_do(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    files = [
        {"path": "{{ name }}.yaml", "template": "kind: A\n"},
        {"path": "{{ spec.other }}.yaml", "template": "kind: B\n"},
    ]
    await platform.publish(promise(unique, files=files))
    await platform.ask(unique, "orders", namespace, other="orders")
    live = await told(
        platform, api_of(unique), "orders", "files[1].path", "two files have the path", namespace=namespace
    )
    assert failure(live)["reason"] == "DuplicatePath"
    assert "orders.yaml" in failure(live)["message"]
    await platform.ask(unique, "orders", namespace, other="users")
    await platform.ready(unique, "orders", namespace)


# ---- stores


@dataclass(frozen=True)
class Wrong:
    """A store that cannot work: its spec, the Secret it names, and what its condition must say.

    ``{folder}`` in the spec is the folder of local stores, ``{name}`` the test's own name.
    """

    reason: str
    words: tuple[str, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)
    secret: Mapping[str, str] | None = None
    resource: Resource = GIT_STATE_STORE
    before: Callable[[Path], object] = lambda folder: None


def empty_repository(path: Path) -> None:
    path.mkdir()
    git(path, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".")


STORES: Mapping[str, Wrong] = {
    "no url": Wrong("InvalidStateStore", ("spec.url", "missing", "repository's address")),
    "a url that is none": Wrong("InvalidStateStore", ("spec.url", "gitops", "not an address"), {"url": "gitops"}),
    "no repository": Wrong("RepositoryMissing", ("no repository", "correct spec.url"), {"url": "{folder}/{name}"}),
    "no branch": Wrong(
        "BranchMissing",
        ("has no branch release", "spec.branch"),
        {"url": "{folder}/{name}", "branch": "release"},
        before=Repository,
    ),
    "an empty repository": Wrong(
        "BranchMissing",
        ("has no branch main", "initial commit"),
        {"url": "{folder}/{name}"},
        before=empty_repository,
    ),
    "a folder that is not allowed": Wrong(
        "LocalPathRefused", ("/srv/elsewhere", "--local-stores"), {"url": "/srv/elsewhere"}
    ),
    "no Secret": Wrong(
        "SecretNotFound",
        ("Secret {name} not found in namespace {name}",),
        {"url": "https://git.example.com/a.git", "secretRef": {"name": "{name}", "namespace": "{name}"}},
    ),
    "a Secret without the keys": Wrong(
        "SecretKeyMissing",
        ("{name}/{name}", "has no key password", "it has token, username"),
        {"url": "https://git.example.com/a.git", "secretRef": {"name": "{name}", "namespace": "{name}"}},
        {"username": "troth", "token": "t0ken"},
    ),
    "an ssh Secret without the keys": Wrong(
        "SecretKeyMissing",
        ("has no key knownHosts", "add knownHosts"),
        {
            "url": "ssh://git@git.example.com/a.git",
            "authMethod": "ssh",
            "secretRef": {"name": "{name}", "namespace": "{name}"},
        },
        {"sshPrivateKey": "key"},
    ),
    "a password over plain http": Wrong(
        "InsecureTransport",
        ("git.example.com", "unencrypted", "https in spec.url"),
        {"url": "http://git.example.com/a.git", "secretRef": {"name": "{name}", "namespace": "{name}"}},
        {"username": "troth", "password": "s3cret"},
    ),
    "a way to log in that is not there yet": Wrong(
        "NotSupported",
        ("spec.authMethod githubApp", "basicAuth"),
        {
            "url": "https://github.com/a/b.git",
            "authMethod": "githubApp",
            "secretRef": {"name": "{name}", "namespace": "{name}"},
        },
        {"appID": "1"},
    ),
    "a kubeconfig that is none": Wrong(
        "InvalidStateStore",
        ("key kubeconfig", "{name}/{name}", "cannot be used"),
        {"secretRef": {"name": "{name}", "namespace": "{name}"}},
        {"kubeconfig": "hello"},
        resource=KUBERNETES_STATE_STORE,
    ),
    "a Secret without kubeconfig": Wrong(
        "SecretKeyMissing",
        ("has no key kubeconfig", "it has config"),
        {"secretRef": {"name": "{name}", "namespace": "{name}"}},
        {"config": "hello"},
        resource=KUBERNETES_STATE_STORE,
    ),
    "a directory that is not allowed": Wrong(
        "LocalPathRefused",
        ("/srv/elsewhere", "--local-stores"),
        {"path": "/srv/elsewhere"},
        resource=DIRECTORY_STATE_STORE,
    ),
    "a directory that does not exist": Wrong(
        "RepositoryMissing",
        ("does not exist", "spec.path"),
        {"path": "{folder}/{name}"},
        resource=DIRECTORY_STATE_STORE,
    ),
}


@pytest.mark.parametrize("case", STORES)
async def test_a_store_says_what_is_missing_and_so_do_its_destination_and_its_requests(
    platform: Platform, running: Running, unique: str, namespace: str, case: str
) -> None:
    wrong = STORES[case]
    fill = {"folder": str(running.folder), "name": unique}
    await asyncio.to_thread(wrong.before, running.folder / unique)
    if wrong.secret is not None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in wrong.secret.items()}
        metadata = {"name": unique, "namespace": namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        await platform.make(SECRET, secret)
    store = {
        "apiVersion": wrong.resource.api_version,
        "kind": wrong.resource.kind,
        "metadata": {"name": unique},
        "spec": filled(wrong.spec, fill),
    }
    words = [word.format(**fill) for word in wrong.words]
    await platform.make(wrong.resource, store)
    live = await told(platform, wrong.resource, unique, *words, reason=wrong.reason)
    assert live["status"]["status"] == "NotReady"
    assert "s3cret" not in str(live["status"])
    await platform.make(
        DESTINATION, destination(unique, store=unique, labels={"for": unique}, kind=wrong.resource.kind)
    )
    await told(platform, DESTINATION, unique, f"{wrong.resource.kind}/{unique}", reason="StateStoreNotReady")
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await told(platform, api_of(unique), "orders", *words, reason="WorksFailing", namespace=namespace)


def filled(value: Any, fill: Mapping[str, str]) -> Any:
    """The value with ``{folder}`` and ``{name}`` replaced."""
    if isinstance(value, str):
        return value.format(**fill)
    return {key: filled(child, fill) for key, child in value.items()}


async def test_a_store_heals_as_soon_as_its_object_is_corrected(
    platform: Platform, running: Running, unique: str, namespace: str
) -> None:
    repository = Repository(running.folder / f"{unique}.git")
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path), branch="nowhere"))
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
    await platform.publish(promise(unique))
    await platform.ask(unique, "orders", namespace)
    await told(platform, api_of(unique), "orders", "has no branch nowhere", namespace=namespace)
    await platform.make(GIT_STATE_STORE, git_store(unique, str(repository.path)))
    await platform.ready(unique, "orders", namespace)


async def test_a_store_heals_as_soon_as_its_secret_is_there(
    platform: Platform, running: Running, unique: str, namespace: str
) -> None:
    reference = {"name": unique, "namespace": namespace}
    with GitServer(running.folder, username="troth", password="s3cret") as server:
        repository = Repository(running.folder / f"{unique}.git")
        await platform.make(GIT_STATE_STORE, git_store(unique, server.url(unique), secretRef=reference))
        await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}))
        await platform.publish(promise(unique))
        await platform.ask(unique, "orders", namespace)
        await told(platform, api_of(unique), "orders", f"Secret {unique} not found", namespace=namespace)
        secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": reference}
        await platform.make(SECRET, {**secret, "stringData": {"username": "troth"}})
        await told(platform, GIT_STATE_STORE, unique, "has no key password", reason="SecretKeyMissing")
        await platform.make(SECRET, {**secret, "stringData": {"username": "troth", "password": "s3cret\n"}})
        await platform.ready(unique, "orders", namespace)
        assert await all_files(repository, f"{unique}/resources/{namespace}")


# ---- destinations


async def test_a_destination_outside_its_store_says_so_and_writes_nothing(
    platform: Platform, repository: Repository, unique: str, namespace: str
) -> None:
    await platform.wait(DESTINATION, unique, lambda live: condition(live, "Ready").get("status") == "True")
    head = repository.head()
    outside = destination(f"{unique}x", store=unique, labels={"for": f"{unique}x"}, path="../x")
    await platform.make(DESTINATION, outside)
    await told(platform, DESTINATION, f"{unique}x", "spec.path", "../x", "remove the ..")
    await platform.publish(promise(unique, selectors={"for": f"{unique}x"}))
    await platform.ask(unique, "orders", namespace)
    await told(platform, api_of(unique), "orders", f"{unique}x", "../x", "remove the ..", namespace=namespace)
    assert repository.head() == head
    await platform.make(DESTINATION, {**outside, "spec": {**outside["spec"], "path": "x"}})
    await platform.ready(unique, "orders", namespace)
    assert await all_files(repository, "x/resources/")


async def test_of_two_destinations_with_one_path_the_younger_is_told_and_heals(
    platform: Platform, repository: Repository, unique: str
) -> None:
    await platform.wait(DESTINATION, unique, lambda live: condition(live, "Ready").get("status") == "True")
    second = destination(f"{unique}b", store=unique, labels={}, path=f"./{unique}/")
    await platform.make(DESTINATION, second)
    await told(platform, DESTINATION, f"{unique}b", "spec.path", f"Destination {unique}", "its own path")
    first = await platform.client.get(DESTINATION, unique)
    assert condition(first, "Ready")["status"] == "True"
    await platform.make(DESTINATION, destination(unique, store=unique, labels={"for": unique}, path="moved"))
    for name in (unique, f"{unique}b"):
        await platform.wait(DESTINATION, name, lambda live: condition(live, "Ready").get("status") == "True")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("GitStateStore", ("GitStateStore/nowhere", "not found")),
        ("BucketStateStore", ("BucketStateStore", "not supported yet")),
    ],
)
async def test_a_destination_whose_store_is_not_there_says_so(
    platform: Platform, unique: str, kind: str, words: tuple[str, ...]
) -> None:
    await platform.make(DESTINATION, destination(unique, store="nowhere", labels={}, kind=kind))
    await told(platform, DESTINATION, unique, *words)


# ---- a namespace that goes


async def test_a_namespace_that_is_deleted_takes_its_requests_and_their_files_along(
    platform: Platform,
    control_plane: ControlPlane,
    running: Running,
    repository: Repository,
    unique: str,
    namespace: str,
) -> None:
    await platform.publish(promise(unique))
    for number in range(3):
        await platform.ask(unique, f"r{number}", namespace)
    for number in range(3):
        await platform.ready(unique, f"r{number}", namespace)
    assert await all_files(repository, f"{unique}/resources/{namespace}")
    for number in range(3, 6):
        await platform.ask(unique, f"r{number}", namespace)  # nobody waits for these
    await asyncio.to_thread(control_plane.finish_namespace, namespace)
    await platform.gone(NAMESPACE, namespace)
    for resource in (WORK, WORK_PLACEMENT):
        assert not (await platform.client.list(resource, namespace)).items
    assert await all_files(repository, f"{unique}/resources/{namespace}") == {}


async def test_in_a_namespace_that_is_being_deleted_a_request_says_so_and_nothing_spins(
    platform: Platform,
    control_plane: ControlPlane,
    running: Running,
    repository: Repository,
    audit: AuditLog,
    unique: str,
    namespace: str,
) -> None:
    await platform.publish(promise(unique, template="kind: A\nname: {{ fail('not yet') }}\n"))
    await platform.ask(unique, "orders", namespace)
    await platform.wait(api_of(unique), "orders", failure, namespace=namespace)
    await platform.client.delete(NAMESPACE, namespace)
    await platform.make(PROMISE, promise(unique))  # now there is something to create, and it may not be
    live = await platform.wait(
        api_of(unique),
        "orders",
        lambda live: condition(live, "Ready").get("reason") == "NamespaceTerminating",
        namespace=namespace,
    )
    assert f"namespace {namespace} is being deleted" in condition(live, "Ready")["message"]
    await asyncio.to_thread(control_plane.finish_namespace, namespace)
    await platform.gone(NAMESPACE, namespace)
    refused = [
        entry
        for entry in await asyncio.to_thread(audit.read)
        if entry.namespace == namespace and entry.code == 403 and entry.resource != "events"
    ]
    assert 1 <= len(refused) <= 3
    assert await all_files(repository, f"{unique}/resources/{namespace}") == {}

"""The control plane that everything else is tested on keeps its own promises."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import Manifests
from tests.waiting import eventually_sync
from troth.dev import AuditLog, CommandFailed, CommandResult, ControlPlane, DevError, ProcessFailed

pytestmark = pytest.mark.integration

_CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note, finalizers: [example.com/hold]}\n"


def widgets(group: str) -> dict[str, Any]:
    """A CustomResourceDefinition."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_every_kind_of_troth_is_served(control_plane: ControlPlane) -> None:
    kinds = control_plane.kubectl("api-resources", "--no-headers", "--output=name").stdout.split()
    assert {"promises.platform.kratix.io", "destinations.platform.kratix.io", "works.platform.kratix.io"} <= set(
        kinds
    )


def test_a_user_may_do_what_rbac_says_and_nothing_more(control_plane: ControlPlane, namespace: str) -> None:
    account = f"system:serviceaccount:{namespace}:reader"
    kubeconfig = control_plane.kubeconfig_for(account)
    with pytest.raises(CommandFailed, match=f'User "{account}" cannot list resource "configmaps"'):
        control_plane.kubectl("get", "configmaps", "-n", namespace, kubeconfig=kubeconfig)
    control_plane.kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps", "-n", namespace)
    control_plane.kubectl(
        "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader", "-n", namespace
    )

    def may_list() -> bool:
        result = control_plane.kubectl("get", "configmaps", "-n", namespace, kubeconfig=kubeconfig, check=False)
        return result.code == 0

    eventually_sync(may_list, "the role is in force")
    with pytest.raises(CommandFailed, match="Forbidden"):
        control_plane.kubectl("get", "secrets", "-n", namespace, kubeconfig=kubeconfig)


def test_the_audit_log_counts_writes_by_who_made_them(
    control_plane: ControlPlane, namespace: str, audit: AuditLog
) -> None:
    control_plane.kubectl("create", "configmap", "counted", "-n", namespace)
    control_plane.kubectl("get", "configmap", "counted", "-n", namespace)
    control_plane.kubectl("create", "configmap", "counted", "-n", namespace, check=False)

    ours = [entry for entry in audit.writes() if entry.namespace == namespace]
    assert [(entry.verb, entry.resource, entry.code) for entry in ours] == [
        ("create", "configmaps", 201),
        ("create", "configmaps", 409),
    ]
    assert {entry.user for entry in ours} == {"troth-dev-admin"}
    assert all(entry.user_agent.startswith("kubectl/") for entry in ours)
    assert audit.writes() == []


def test_a_namespace_goes_away_with_what_is_in_it_but_not_before_its_finalizers(
    control_plane: ControlPlane, unique: str
) -> None:
    control_plane.kubectl("create", "namespace", unique)
    control_plane.kubectl("apply", "-n", unique, "-f", "-", input=_CONFIG_MAP)
    with pytest.raises(DevError, match=r"still holds objects: .*/configmaps"):
        control_plane.finish_namespace(unique, timeout=0.5)
    control_plane.finish_namespace(unique, strip_finalizers=True)
    assert "NotFound" in control_plane.kubectl("get", "namespace", unique, check=False).stderr
    control_plane.finish_namespace(unique)


def test_a_namespace_goes_although_objects_in_it_are_too_deep_for_a_parser(
    control_plane: ControlPlane, unique: str, tmp_path: Path
) -> None:
    group = f"{unique}.example.com"
    manifests = Manifests(control_plane, unique)
    manifests(widgets(group))
    control_plane.wait_established(f"crd/widgets.{group}")
    control_plane.kubectl("create", "namespace", unique)
    widget = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "deep", "finalizers": ["example.com/hold"]},
        "spec": "deep",
    }
    file = tmp_path / "deep.json"
    file.write_text(json.dumps(widget).replace('"deep"}', '{"a":' * 4_000 + "1" + "}" * 4_000 + "}"))
    path = f"/apis/{group}/v1/namespaces/{unique}/widgets"
    control_plane.kubectl("create", "--raw", path, "-f", file)
    control_plane.finish_namespace(unique, strip_finalizers=True)
    assert "NotFound" in control_plane.kubectl("get", "namespace", unique, check=False).stderr
    manifests.remove()


def test_what_a_test_applies_goes_away_with_the_test(
    control_plane: ControlPlane, namespace: str, unique: str
) -> None:
    group = f"{unique}.example.com"
    promise = {
        "apiVersion": "platform.kratix.io/v1alpha1",
        "kind": "Promise",
        "metadata": {"name": unique, "finalizers": ["example.com/hold"]},
        "spec": {"api": widgets(group)},
    }
    manifests = Manifests(control_plane, namespace)
    manifests(promise, widgets(group))
    control_plane.wait_established(f"crd/widgets.{group}")
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget"}
    manifests({**widget, "metadata": {"name": "mine", "finalizers": ["example.com/hold"]}})
    control_plane.kubectl(
        "apply", "-n", namespace, "-f", "-", input=json.dumps({**widget, "metadata": {"name": "x"}})
    )
    manifests.remove()
    for kind, name in (("promise", unique), ("crd", f"widgets.{group}")):
        assert "NotFound" in control_plane.kubectl("get", kind, name, check=False).stderr


async def test_kubectl_says_why_it_failed(kubectl: Callable[..., Awaitable[CommandResult]]) -> None:
    with pytest.raises(CommandFailed, match=r"kubectl get nonsense ended with code 1: .*nonsense"):
        await kubectl("get", "nonsense")


def test_what_identifies_an_administrator_is_for_its_owner_only(control_plane: ControlPlane) -> None:
    private = [path for path in control_plane.folder.iterdir() if path.suffix in {".key", ".kubeconfig"}]
    for path in [control_plane.kubeconfig, *private]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(control_plane.folder.stat().st_mode) == 0o700


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's list of sockets")
def test_nothing_but_the_api_server_listens_on_the_network(control_plane: ControlPlane) -> None:
    etcd = control_plane.pids["etcd"]
    inodes = {str(link.readlink()) for link in Path(f"/proc/{etcd}/fd").iterdir() if link.is_symlink()}
    listening = {
        f"socket:[{fields[9]}]"
        for table in ("tcp", "tcp6")
        for fields in (line.split() for line in Path(f"/proc/{etcd}/net/{table}").read_text().splitlines()[1:])
        if fields[3] == "0A"
    }
    assert not inodes & listening


def test_another_one_beside_it_is_apart_and_leaves_nothing_behind(control_plane: ControlPlane) -> None:
    with ControlPlane(binaries=control_plane.binaries) as other:
        pids = list(other.pids.values())
        other.kubectl("create", "namespace", "only-here")
        assert "NotFound" in control_plane.kubectl("get", "namespace", "only-here", check=False).stderr
        with pytest.raises(CommandFailed, match="certificate"):
            control_plane.kubectl("get", "namespaces", "--server", other.url)
    assert not other.folder.exists()
    assert not any(map(_alive, pids))


def test_a_kept_folder_goes_on_where_it_stopped(control_plane: ControlPlane, tmp_path: Path) -> None:
    folder = tmp_path / ("a-long-name-" * 12) / "data"  # longer than the path of a socket may be
    with ControlPlane(binaries=control_plane.binaries, folder=folder, keep=True) as first:
        first.kubectl("create", "namespace", "kept")
        user = first.kubeconfig_for("somebody", ["system:masters"]).read_text()
    with ControlPlane(binaries=control_plane.binaries, folder=folder) as second:
        second.kubectl("get", "namespace", "kept")
        # The authority is the same one, so what it has signed is still good, at the new address.
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(user.replace(first.url, second.url))
        assert "somebody" in second.kubectl("auth", "whoami", kubeconfig=kubeconfig).stdout
    assert not folder.exists()


def test_a_program_that_ends_is_noticed_and_its_last_words_are_shown(control_plane: ControlPlane) -> None:
    with ControlPlane(binaries=control_plane.binaries) as plane:
        plane.check()
        os.kill(plane.pids["kube-apiserver"], signal.SIGABRT)
        with pytest.raises(ProcessFailed, match=r"(?s)kube-apiserver ended with code \d+; it said last:"):
            eventually_sync(lambda: plane.check())


@pytest.mark.parametrize("length", [1, 100])  # the sockets are in a folder of their own when the path is too long
def test_everything_ends_when_the_parent_is_killed(
    control_plane: ControlPlane, tmp_path: Path, length: int
) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        textwrap.dedent("""
        import sys, threading
        from pathlib import Path
        from troth.dev import ControlPlane
        plane = ControlPlane(folder=Path(sys.argv[1]))
        plane.start()
        print(plane.sockets, *plane.pids.values(), flush=True)
        threading.Event().wait()
        """)
    )
    folder = tmp_path / ("x" * length)
    environment = {**os.environ, "KUBEBUILDER_ASSETS": str(control_plane.binaries.etcd.parent)}
    parent = subprocess.Popen(
        [sys.executable, program, folder], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert parent.stdout is not None
        sockets, *pids = parent.stdout.readline().split()
    finally:
        parent.kill()
        parent.communicate()
    assert len(pids) == 2
    eventually_sync(lambda: not any(_alive(int(pid)) for pid in pids), "etcd and kube-apiserver are gone")
    eventually_sync(lambda: not folder.exists() and not Path(sockets).exists(), "the folders are gone")


def test_its_port_cannot_be_taken_by_anybody_else_meanwhile(control_plane: ControlPlane) -> None:
    port = int(control_plane.url.rpartition(":")[2])
    with socket.socket() as intruder, pytest.raises(OSError):
        intruder.bind(("127.0.0.1", port))

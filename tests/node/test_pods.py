"""Pods run on the node as they do on every other: the promises that tests on it rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.node.images import BUSYBOX, KUBECTL, Image, layer
from tests.node.node import Node
from tests.node.programs import find_busybox
from tests.waiting import eventually_sync


def _container(name: str, script: str, *, image: str = BUSYBOX, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "command": ["/bin/sh", "-ec", script], **more}


def _job(name: str, *containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A Job of one attempt; its last container is the main one, those before it are init containers."""
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, **more}
    pod["initContainers"], pod["containers"] = list(containers[:-1]), [containers[-1]]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def _apply(node: Node, namespace: str, *objects: dict[str, Any]) -> None:
    document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    node.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(document))


def _pod_of(node: Node, namespace: str, job: str) -> dict[str, Any]:
    """The one Pod of a Job.

    Raises:
        AssertionError: there is none yet.
    """
    answer = node.kubectl("get", "pods", "-n", namespace, "-l", f"job-name={job}", "-o", "json")
    pods = json.loads(answer.stdout)["items"]
    assert len(pods) == 1, f"{len(pods)} Pods"
    pod: dict[str, Any] = pods[0]
    return pod


def _log_of_completed(node: Node, namespace: str, job: str, *, within: int = 60) -> str:
    """The log of a Job's main container, once it is complete."""
    done = node.kubectl(
        *("wait", f"job/{job}", "-n", namespace, "--for=condition=Complete", f"--timeout={within}s"),
        check=False,
        timeout=within + 10,
    )
    assert done.code == 0, f"{done.stderr} {_pod_of(node, namespace, job)['status']}"
    return node.kubectl("logs", f"job/{job}", "-n", namespace).stdout


def test_a_job_runs_its_init_containers_in_order_and_its_log_can_be_read(node: Node, namespace: str) -> None:
    shared = [{"name": "scratch", "mountPath": "/scratch"}]
    job = _job(
        "order",
        _container("first", "echo first >>/scratch/seen", volumeMounts=shared),
        _container("second", "echo second >>/scratch/seen", volumeMounts=shared),
        _container("main", "cat /scratch/seen; echo main", volumeMounts=shared),
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    _apply(node, namespace, job)
    assert _log_of_completed(node, namespace, "order") == "first\nsecond\nmain\n"


def test_a_pod_reaches_the_api_server_as_its_service_account_and_may_do_what_rbac_says(
    node: Node, namespace: str
) -> None:
    node.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    node.kubectl("create", "role", "reader", "-n", namespace, "--verb=list", "--resource=configmaps")
    node.kubectl(
        *("create", "rolebinding", "reader", "-n", namespace, "--role=reader"),
        f"--serviceaccount={namespace}:reader",
    )
    script = """
        echo "$KUBERNETES_SERVICE_HOST"
        kubectl auth whoami -o jsonpath='{.status.userInfo.username}{"\\n"}'
        kubectl get configmaps -o name
        ! kubectl get secrets 2>&1
    """
    main = _container("main", script, image=KUBECTL)
    _apply(node, namespace, _job("access", main, serviceAccountName="reader"))
    host, user, *rest = _log_of_completed(node, namespace, "access").splitlines()
    assert host == "10.96.0.1"
    assert user == f"system:serviceaccount:{namespace}:reader"
    assert rest[0] == "configmap/kube-root-ca.crt"
    assert "Forbidden" in rest[1]


def test_a_pod_whose_image_does_not_exist_says_so(node: Node, namespace: str) -> None:
    _apply(node, namespace, _job("absent", _container("main", "true", image="localhost/absent:1")))

    def says_so() -> bool:
        statuses = _pod_of(node, namespace, "absent")["status"].get("containerStatuses", [])
        reasons = [status["state"].get("waiting", {}).get("reason") for status in statuses]
        return reasons in (["ErrImagePull"], ["ImagePullBackOff"])

    eventually_sync(says_so, "the Pod says that its image cannot be pulled", within=30, every=0.2)


def test_a_service_leads_to_its_pod(node: Node, namespace: str) -> None:
    server = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "server", "labels": {"app": "server"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                _container(
                    "main", "mkdir /tmp/www; echo served >/tmp/www/index.html; httpd -f -p 8080 -h /tmp/www"
                )
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    _apply(node, namespace, server, service)
    address = node.kubectl("get", "service", "server", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}").stdout
    script = f"until wget -q -O - http://{address}/; do sleep 0.1; done"
    _apply(node, namespace, _job("client", _container("main", script)))
    assert _log_of_completed(node, namespace, "client") == "served\n"


def test_a_container_runs_confined_and_within_its_memory(node: Node, namespace: str) -> None:
    confined = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    script = "id -u; grep -E '^(Seccomp|CapEff):' /proc/self/status; ! touch /file; tail -c 200m /dev/zero"
    limits = {"limits": {"memory": "32Mi", "cpu": "500m"}}
    _apply(
        node,
        namespace,
        _job("confined", _container("main", script, securityContext=confined, resources=limits)),
    )
    node.kubectl("wait", "job/confined", "-n", namespace, "--for=condition=Failed", "--timeout=60s", timeout=70)
    (status,) = _pod_of(node, namespace, "confined")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"
    log = node.kubectl("logs", "job/confined", "-n", namespace).stdout.split("\n")
    assert log[:3] == ["65532", "CapEff:\t0000000000000000", "Seccomp:\t2"]


def test_an_image_can_be_added_while_the_node_runs(node: Node, namespace: str, tmp_path: Path) -> None:
    reference = f"localhost/{namespace}:1"
    busybox = find_busybox().read_bytes()
    content = layer({"bin/busybox": busybox, "bin/say": b"#!/bin/busybox sh\necho added\n"})
    node.load([Image(reference, (content,), entrypoint=("/bin/say",))], tmp_path)
    _apply(node, namespace, _job("added", {"name": "main", "image": reference}))
    assert _log_of_completed(node, namespace, "added") == "added\n"

"""What a node consists of: its files and its steps, from which all else follows. Nothing is started here.

* Everything that the node writes is below /run, which is a tmpfs of its own, or in layers of overlayfs that are
  there, too; so it goes when the node goes. Its configuration and its logs are in a folder of the machine.
* The kubelet sets sysctls of the kernel that are not the node's alone (`vm.overcommit_memory`, `kernel.panic`). It
  finds the values that it wants in files that are mounted over them, and leaves the machine's as they are.
* Services are kube-proxy's, as everywhere. Without the module br_netfilter an answer from a Pod to a Pod on the same
  bridge would pass by the rules that it has to follow, so all that goes to a Service is masqueraded.
* Root without CAP_SYS_RESOURCE, as in many sandboxes, may not lower a process's `oom_score_adj`: runc would end with a
  riddle. `restrict_oom_score_adj` has containerd not ask for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.node.addresses import API_PORT, API_SERVICE, PODS, PODS_GATEWAY, SERVICES, UPLINK, Addresses
from tests.node.images import PAUSE
from tests.node.init import AwaitApiServer, AwaitLink, AwaitSocket, Run, Start, Step
from tests.node.programs import NodePrograms
from troth.certificates import Authority, KeyPair, new_key
from troth.dev.kubeconfig import kubeconfig, write_private

NODE_NAME = "node"
CONTAINERD_SOCKET = "/run/node/containerd.sock"
IMPORT = ("--namespace", "k8s.io", "images", "import")

_STATE = "/run/node"
_ETCD = f"{_STATE}/etcd"
_LAYERED = ("/var/lib", "/var/log")
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of what was written for one node.

    Attributes:
        authority: the certificate that the API server's is signed by.
        admin: certificate and key of an administrator.
        kubeconfig: of the administrator, for the machine.
        inside: of the administrator, for the node's own programs.
        serving: certificate and key of the API server and of the kubelet.
        token_key: what tokens of service accounts are signed with.
        containerd: its configuration.
        kubelet: its configuration.
    """

    authority: Path
    admin: tuple[Path, Path]
    kubeconfig: Path
    inside: Path
    serving: tuple[Path, Path]
    token_key: Path
    containerd: Path
    kubelet: Path


def write_files(folder: Path, addresses: Addresses, programs: NodePrograms) -> Files:
    """Write certificates and configuration into a private folder."""
    authority = Authority.create("troth-node")
    admin = authority.client("troth-node-admin", ["system:masters"])
    names = ["kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost"]
    serving = authority.server([*names, addresses.node, API_SERVICE, "127.0.0.1"])
    ca = write_private(folder / "ca.crt", authority.pair.certificate)
    write_private(folder / "ca.key", authority.pair.key)
    serving_files = _write_pair(folder, "serving", serving)
    plugins = folder / "cni"
    plugins.mkdir()
    (plugins / "10-node.conflist").write_text(json.dumps(_network()))

    def access(name: str, host: str) -> Path:
        text = kubeconfig(
            server=f"https://{host}:{API_PORT}",
            authority=authority.pair.certificate,
            user=admin,
            cluster="troth-node",
        )
        return write_private(folder / name, text)

    return Files(
        authority=ca,
        admin=_write_pair(folder, "admin", admin),
        kubeconfig=access("kubeconfig", addresses.node),
        inside=access("kubeconfig-inside", "127.0.0.1"),
        serving=serving_files,
        token_key=write_private(folder / "service-account.key", new_key()),
        containerd=write_private(folder / "containerd.toml", _containerd(programs, plugins)),
        kubelet=write_private(folder / "kubelet.json", json.dumps(_kubelet(addresses, ca, serving_files))),
    )


def node_steps(addresses: Addresses, programs: NodePrograms, files: Files, images: Path) -> list[Step]:
    """What `init.py` does, in order; the images are read while the API server starts."""
    return [
        *_isolation(),
        *_network_steps(addresses),
        Start("etcd", _etcd(programs)),
        Start("containerd", [str(programs.containerd), "--config", str(files.containerd)]),
        Start("kube-apiserver", _kube_apiserver(addresses, programs, files)),
        AwaitSocket(CONTAINERD_SOCKET),
        _run(programs.ctr, "--address", CONTAINERD_SOCKET, *IMPORT, images),
        AwaitApiServer(API_PORT, str(files.authority), *map(str, files.admin)),
        Start("kubelet", _kubelet_command(addresses, programs, files)),
        Start("kube-controller-manager", _kube_controller_manager(programs, files)),
        Start("kube-scheduler", _kube_scheduler(programs, files)),
        Start("kube-proxy", _kube_proxy(programs, files)),
    ]


def _isolation() -> list[Step]:
    steps: list[Step] = [_run("mount", "-t", "tmpfs", "tmpfs", "/run"), _run("mkdir", "-p", _STATE)]
    for path in _LAYERED:
        upper, work = f"{_STATE}/layers{path}/upper", f"{_STATE}/layers{path}/work"
        options = f"lowerdir={path},upperdir={upper},workdir={work}"
        steps += [_run("mkdir", "-p", upper, work), _run("mount", "-t", "overlay", "-o", options, "overlay", path)]
    for name, value in _KERNEL_SETTINGS.items():
        file = f"{_STATE}/{name.replace('/', '.')}"
        steps.append(_run("sh", "-ec", f"echo {value} >{file}; mount --bind {file} /proc/sys/{name}"))
    return steps


def _network_steps(addresses: Addresses) -> list[Step]:
    return [
        _run("ip", "link", "set", "lo", "up"),
        AwaitLink(UPLINK),
        _run("ip", "address", "add", f"{addresses.node}/30", "dev", UPLINK),
        _run("ip", "link", "set", UPLINK, "up"),
        _run("ip", "route", "add", "default", "via", addresses.machine),
        _run("sh", "-ec", "echo 1 >/proc/sys/net/ipv4/ip_forward"),
        # A connection whose last bytes nobody acknowledges would keep the namespace for minutes after the node's end.
        _run("sh", "-ec", "echo 1 >/proc/sys/net/ipv4/tcp_orphan_retries"),
        # The machine has no way to the Pods, so they speak to it in the node's name.
        _run("iptables", *f"-t nat -A POSTROUTING -s {PODS} -o {UPLINK} -j MASQUERADE".split()),
    ]


def _etcd(programs: NodePrograms) -> list[str]:
    # A single member calls nobody, so the addresses that it would tell others are placeholders.
    nobody = "http://localhost:1"
    return [
        str(programs.control_plane.etcd),
        f"--data-dir={_ETCD}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=unix://{_STATE}/etcd-client",
        f"--advertise-client-urls={nobody}",
        f"--listen-peer-urls=unix://{_STATE}/etcd-peer",
        f"--initial-advertise-peer-urls={nobody}",
        f"--initial-cluster=default={nobody}",
        "--log-level=warn",
    ]


def _kube_apiserver(addresses: Addresses, programs: NodePrograms, files: Files) -> list[str]:
    certificate, key = files.serving
    client_certificate, client_key = files.admin
    return [
        str(programs.control_plane.kube_apiserver),
        f"--etcd-servers=unix://{_STATE}/etcd-client",
        f"--advertise-address={addresses.node}",
        f"--secure-port={API_PORT}",
        f"--cert-dir={_STATE}/apiserver",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={files.authority}",
        f"--service-account-key-file={files.token_key}",
        f"--service-account-signing-key-file={files.token_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--kubelet-certificate-authority={files.authority}",
        f"--kubelet-client-certificate={client_certificate}",
        f"--kubelet-client-key={client_key}",
        # Otherwise `kubectl logs` asks the DNS for the node's name.
        "--kubelet-preferred-address-types=InternalIP",
    ]


def _kube_controller_manager(programs: NodePrograms, files: Files) -> list[str]:
    return [
        str(programs.kubernetes / "kube-controller-manager"),
        f"--kubeconfig={files.inside}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--cert-dir={_STATE}/kube-controller-manager",
        f"--root-ca-file={files.authority}",
        f"--service-account-private-key-file={files.token_key}",
        "--authentication-skip-lookup=true",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def _kube_scheduler(programs: NodePrograms, files: Files) -> list[str]:
    return [
        str(programs.kubernetes / "kube-scheduler"),
        f"--kubeconfig={files.inside}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--cert-dir={_STATE}/kube-scheduler",
        "--authentication-skip-lookup=true",
    ]


def _kube_proxy(programs: NodePrograms, files: Files) -> list[str]:
    return [
        str(programs.kubernetes / "kube-proxy"),
        f"--kubeconfig={files.inside}",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        "--masquerade-all",
        # The table of connections is the whole kernel's: its limits stay as they are.
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def _kubelet_command(addresses: Addresses, programs: NodePrograms, files: Files) -> list[str]:
    return [
        str(programs.kubernetes / "kubelet"),
        f"--config={files.kubelet}",
        f"--kubeconfig={files.inside}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={addresses.node}",
        f"--root-dir={_STATE}/kubelet",
        f"--cert-dir={_STATE}/kubelet-certificates",
    ]


def _kubelet(addresses: Addresses, authority: Path, serving: tuple[Path, Path]) -> Mapping[str, Any]:
    certificate, key = serving
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{addresses.name}",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "resolvConf": "",
        "clusterDNS": ["10.96.0.10"],  # nobody answers there; without it each Pod gets an event of complaint
        "serializeImagePulls": False,
        "maxPods": 200,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "eventRecordQPS": 0,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "podLogsDir": f"{_STATE}/logs",
        "volumePluginDir": f"{_STATE}/volume-plugins",
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
    }


def _containerd(programs: NodePrograms, plugins: Path) -> str:
    # The form of 1.6, which 1.7 and 2 read, too.
    return f"""\
version = 2
root = "{_STATE}/containerd"
state = "{_STATE}/containerd-state"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{_STATE}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs.plugins}"
    conf_dir = "{plugins}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{programs.runc}"
        SystemdCgroup = false
"""


def _network() -> Mapping[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "node",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{_STATE}/addresses",
                    "ranges": [[{"subnet": PODS, "rangeStart": "10.214.1.1", "gateway": PODS_GATEWAY}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def _write_pair(folder: Path, name: str, pair: KeyPair) -> tuple[Path, Path]:
    certificate = write_private(folder / f"{name}.crt", pair.certificate)
    return certificate, write_private(folder / f"{name}.key", pair.key)


def _run(*command: str | Path) -> Run:
    return Run(_texts(command))


def _texts(command: Sequence[str | Path]) -> list[str]:
    return [str(part) for part in command]

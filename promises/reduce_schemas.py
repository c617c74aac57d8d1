"""Write the schemas of other projects that a Promise's objects are checked against.

    python promises/reduce_schemas.py            # all of them
    python promises/reduce_schemas.py web-app    # those of one Promise

A CRD comes out of the Go module of its project, which Go checks against its checksum database, and is reduced to what
validation needs: types, required fields, enums, patterns, bounds, formats, defaults and CEL rules. Descriptions,
status, printer columns and versions that are not served go. The CRD of a Promise's *dependency* needs no file here:
lint reads it from the dependency.

Rejected: the whole CRDs (25 times as large, and nobody reads the descriptions here), and a download while linting
(lint needs no network).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
LICENCE: Final = "Apache-2.0"
MAPS_OF_SCHEMAS: Final = ("properties", "patternProperties", "definitions")
PLAIN_VALUES: Final = ("default", "enum", "example")


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module and the folder in it that holds CRDs."""

    path: str
    version: str
    folder: str
    licence: str = LICENCE


KEDA: Final = Module("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases")
GATEWAY: Final = Module("sigs.k8s.io/gateway-api", "v1.6.3", "config/crd/standard")
CERT_MANAGER: Final = Module("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds")
EXTERNAL_SECRETS: Final = Module("github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases")
CLOUDNATIVE_PG: Final = Module("github.com/cloudnative-pg/cloudnative-pg", "v1.28.1", "config/crd/bases")
CROSSPLANE: Final = Module("github.com/crossplane/crossplane/v2", "v2.0.2", "cluster/crds")
RABBITMQ: Final = Module("github.com/rabbitmq/cluster-operator", "v1.14.0", "config/crd/bases", "MPL-2.0")
RABBITMQ_TOPOLOGY: Final = Module(
    "github.com/rabbitmq/messaging-topology-operator", "v1.17.4", "config/crd/bases", "MPL-2.0"
)
PROVIDER_AWS: Final = Module("github.com/crossplane-contrib/provider-aws", "v0.33.0", "package/crds")

KINDS: Final[Mapping[str, tuple[Module, str]]] = {
    "scaledobjects.keda.sh": (KEDA, "keda.sh_scaledobjects.yaml"),
    "scaledjobs.keda.sh": (KEDA, "keda.sh_scaledjobs.yaml"),
    "triggerauthentications.keda.sh": (KEDA, "keda.sh_triggerauthentications.yaml"),
    "httproutes.gateway.networking.k8s.io": (GATEWAY, "gateway.networking.k8s.io_httproutes.yaml"),
    "certificates.cert-manager.io": (CERT_MANAGER, "cert-manager.io_certificates.yaml"),
    "externalsecrets.external-secrets.io": (EXTERNAL_SECRETS, "external-secrets.io_externalsecrets.yaml"),
    "passwords.generators.external-secrets.io": (
        EXTERNAL_SECRETS,
        "generators.external-secrets.io_passwords.yaml",
    ),
    "clusters.postgresql.cnpg.io": (CLOUDNATIVE_PG, "postgresql.cnpg.io_clusters.yaml"),
    "poolers.postgresql.cnpg.io": (CLOUDNATIVE_PG, "postgresql.cnpg.io_poolers.yaml"),
    "rabbitmqclusters.rabbitmq.com": (RABBITMQ, "rabbitmq.com_rabbitmqclusters.yaml"),
    "queues.rabbitmq.com": (RABBITMQ_TOPOLOGY, "rabbitmq.com_queues.yaml"),
    "users.rabbitmq.com": (RABBITMQ_TOPOLOGY, "rabbitmq.com_users.yaml"),
    "permissions.rabbitmq.com": (RABBITMQ_TOPOLOGY, "rabbitmq.com_permissions.yaml"),
    "buckets.s3.aws.crossplane.io": (PROVIDER_AWS, "s3.aws.crossplane.io_buckets.yaml"),
    "bucketpolicies.s3.aws.crossplane.io": (PROVIDER_AWS, "s3.aws.crossplane.io_bucketpolicies.yaml"),
    "compositions.apiextensions.crossplane.io": (CROSSPLANE, "apiextensions.crossplane.io_compositions.yaml"),
}
"""Every CRD that can be had, and where."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "bucket": ("bucketpolicies.s3.aws.crossplane.io", "buckets.s3.aws.crossplane.io"),
    "message-queue": (
        "permissions.rabbitmq.com",
        "queues.rabbitmq.com",
        "rabbitmqclusters.rabbitmq.com",
        "users.rabbitmq.com",
    ),
    "redis": (
        "certificates.cert-manager.io",
        "externalsecrets.external-secrets.io",
        "passwords.generators.external-secrets.io",
    ),
    "web-app": ("httproutes.gateway.networking.k8s.io",),
    "worker": ("scaledobjects.keda.sh", "triggerauthentications.keda.sh"),
}
"""What the templates of each Promise render."""


COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {"service": ("postgresql", "redis", "web-app")}
"""The Promises beside it whose requests the templates of each compound Promise render."""


class FlowStyle(dict[str, Any]):
    """A mapping that is written on few lines."""


class Dumper(yaml.SafeDumper):
    """Writes `FlowStyle` in flow style, never writes an anchor."""

    def ignore_aliases(self, _data: object) -> bool:
        """No anchors: a reader of YAML for Kubernetes may bound how often one is used."""
        return True


Dumper.add_representer(
    FlowStyle,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True),
)


def without_descriptions(schema: Any) -> Any:
    """An OpenAPI schema without its descriptions; a property that is called `description` stays."""
    if isinstance(schema, list):
        return [without_descriptions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in MAPS_OF_SCHEMAS and isinstance(value, dict):
            kept[key] = {name: without_descriptions(inner) for name, inner in value.items()}
        elif key in PLAIN_VALUES:
            kept[key] = value
        elif key not in ("description", "externalDocs"):
            kept[key] = without_descriptions(value)
    return kept


def reduced(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A CRD with what validation needs, and nothing else."""
    spec = definition["spec"]
    versions = [
        {"name": version["name"], "served": True, "storage": version["storage"], "schema": _schema(version)}
        for version in spec["versions"]
        if version["served"]
    ]
    names = {key: spec["names"][key] for key in ("kind", "plural")}
    return {
        "apiVersion": definition["apiVersion"],
        "kind": definition["kind"],
        "metadata": {"name": definition["metadata"]["name"]},
        "spec": {"group": spec["group"], "names": names, "scope": spec["scope"], "versions": versions},
    }


def _schema(version: Mapping[str, Any]) -> dict[str, Any]:
    schema = without_descriptions(version["schema"]["openAPIV3Schema"])
    properties = {name: value for name, value in schema["properties"].items() if name != "status"}
    return {"openAPIV3Schema": FlowStyle({**schema, "properties": properties})}


def folder_of(module: Module) -> Path:
    """Where Go has the module; it is fetched when it is not there.

    Raises:
        SystemExit: Go is not there, or cannot have it.
    """
    command = ["go", "mod", "download", "-json", f"{module.path}@{module.version}"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=HERE)
    except OSError as error:
        sys.exit(f"go cannot be run: {error.strerror}; install Go 1.24 or newer")
    answer = json.loads(done.stdout or "{}")
    if "Dir" not in answer:
        sys.exit(f"{module.path} {module.version}: {answer.get('Error') or done.stderr.strip()}")
    return Path(answer["Dir"])


def text_of(name: str) -> str:
    """The file for the CRD of that name."""
    module, file = KINDS[name]
    source = folder_of(module) / module.folder / file
    definition = yaml.safe_load(source.read_text("utf-8"))
    head = (
        f"# {module.path} {module.version}, {module.licence}: {module.folder}/{file},\n"
        "# reduced to what validation needs. Written by promises/reduce_schemas.py; do not edit.\n"
    )
    return head + _written(definition)


def component_text(component: str) -> tuple[str, str]:
    """The name of the CRD that a Promise beside this one offers, and the file for it."""
    definition = yaml.safe_load((HERE / component / "promise.yaml").read_text("utf-8"))["spec"]["api"]
    head = (
        f"# The API of the Promise {component}, reduced to what validation needs.\n"
        "# Written by promises/reduce_schemas.py; do not edit.\n"
    )
    return definition["metadata"]["name"], head + _written(definition)


def _written(definition: Mapping[str, Any]) -> str:
    return yaml.dump(reduced(definition), Dumper=Dumper, sort_keys=False, width=150, allow_unicode=True)


def path_of(promise: str, name: str) -> Path:
    """Where the schema of a CRD stands in the home of a Promise."""
    return HERE / promise / "schemas" / f"{name}.yaml"


def main(promises: list[str]) -> None:
    """Write the schemas of these Promises, or of all."""
    known = [*NEEDED, *COMPONENTS]
    for promise in promises or known:
        if promise not in known:
            sys.exit(f"{promise} needs no schemas; those that do: {', '.join(known)}")
        texts = [(name, text_of(name)) for name in NEEDED.get(promise, ())]
        for name, text in texts + [component_text(component) for component in COMPONENTS.get(promise, ())]:
            path = path_of(promise, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            sys.stdout.write(f"{path.relative_to(HERE)}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])

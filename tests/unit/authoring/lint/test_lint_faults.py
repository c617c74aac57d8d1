"""Mistakes that people make, put into the library's Promises one at a time: lint finds each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.documents import ROOT
from troth.authoring.lint import lint

pytestmark = pytest.mark.slow

ENVIRONMENT = [
    # What stands there, what a tired person writes, and what lint says.
    ("sizes[spec.size]", "sizes[spec.sise]", "T101"),
    ('"{{ spec.team }}-{{ name }}"', '"{{ spec.tema }}-{{ name }}"', "T101"),
    ("requests.cpu: {{ size.cpu }}", "requests.cpu: {{ size.cpus }}", "T101"),
    ("name: {{ item.name }}", "name: {{ item.user }}", "T101"),
    ("              large: {cpu:", "              huge: {cpu:", "T105"),
    (
        'spec.network == "isolated" %}\n---',
        'spec.network == "isolate" %}\n---',
        "T104",
    ),
    ("target | length > 63", "target > 63", "T103"),
    ('"{{ spec.members | length }}"', '"{{ spec.team | dict2items | length }}"', "T103"),
    ("            platformNamespaces: [cnpg-system]", "            platformNamespaces: cnpg-system", "T202"),
    ("policyTypes: [Ingress]", "policyTypes: Ingress", "T202"),
    ("kind: LimitRange", "kind: LimitsRange", "T201"),
    ("kind: ResourceQuota", "knid: ResourceQuota", "T202"),
    ("roleRef:", "roleref:", "T202"),
    ("apiVersion: networking.k8s.io/v1\n", "apiVersion: extensions/v1beta1\n", "T207"),
    ("requests.memory: {{ size.memory }}", "requests.memory: lots", "T202"),
    ("                    default: []\n", "", "T102"),
    ("                required: [team]\n", "", "T102"),
    (" or target | length > 63 %}", " %}", "T203"),
    ("- {protocol: UDP, port: 53}", "- {protocol: UDP, prot: 53}", "T202"),
]


def copy_with_a_fault(name: str, folder: Path, right: str, wrong: str) -> None:
    """The Promise of that name, with one text replaced where it stands first."""
    shutil.copytree(ROOT / "promises" / name, folder, dirs_exist_ok=True)
    for path in (folder / "promise.yaml", *sorted((folder / "templates").iterdir())):
        text = path.read_text("utf-8")
        if right in text:
            path.write_text(text.replace(right, wrong, 1), "utf-8")
            return
    raise AssertionError(f"{right!r} is nowhere in {name}")


@pytest.mark.parametrize(("right", "wrong", "code"), ENVIRONMENT, ids=lambda text: text.strip()[:24])
def test_a_mistake_in_the_promise_of_environments_is_found(
    tmp_path: Path, right: str, wrong: str, code: str
) -> None:
    copy_with_a_fault("environment", tmp_path, right, wrong)
    assert code in {finding.code for finding in lint(tmp_path)}


POSTGRESQL = [
    (
        "instances: {{ size.instances }}\n  primary",
        "instances: {{ sizeName }}\n  primary",
        "T202",
    ),
    ("type: rw", "type: rww", "T202"),
    ("poolMode: session", "poolmode: session", "T202"),
    ("{{ spec.size | default('small') }}", "{{ spec.size }}", "T102"),
    ("{{ spec.size | default('small') }}", "{{ spec.size | default('tiny') }}", "T10"),
    ("postgresql:{{ version }}", "postgresql", "T205"),
]


@pytest.mark.parametrize(("right", "wrong", "code"), POSTGRESQL, ids=lambda text: text.strip()[:24])
def test_a_mistake_in_the_promise_of_databases_is_found(tmp_path: Path, right: str, wrong: str, code: str) -> None:
    copy_with_a_fault("postgresql", tmp_path, right, wrong)
    assert any(finding.code.startswith(code) for finding in lint(tmp_path))

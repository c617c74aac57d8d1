"""What can be said of the image without a container engine (docs/unproven.md says what cannot)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from image.archive import Naming, configuration
from image.debian import PACKAGES, listed_packages
from image.root import HOME, USER
from image.wheels import PYTHON
from troth import __version__

ROOT = Path(__file__).parents[3]
LINES = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
INSTRUCTIONS = [
    (name, argument) for name, _, argument in (line.partition(" ") for line in LINES.splitlines() if line)
]
STAGES = [index for index, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM"]
FINAL = INSTRUCTIONS[STAGES[-1] :]


def values(name: str, instructions: list[tuple[str, str]]) -> list[str]:
    return [argument for instruction, argument in instructions if instruction == name]


@pytest.mark.parametrize(
    "source",
    [
        source
        for argument in values("COPY", INSTRUCTIONS)
        if not argument.startswith("--from")
        for source in argument.split()[:-1]
    ],
)
def test_what_is_copied_exists_and_is_sent_to_the_engine(source: str) -> None:
    assert (ROOT / source).exists()
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert source.split("/")[0] in allowed


def test_every_image_and_every_action_is_named_by_its_content() -> None:
    """A tag may be moved to other bytes by whoever owns it."""
    texts = [(ROOT / name).read_text() for name in ("Dockerfile", ".devcontainer/Dockerfile")]
    images = re.findall(r"^(?:FROM|ARG PYTHON_IMAGE=)\s*(\S+)", "\n".join(texts), flags=re.MULTILINE)
    named = [image for image in images if not image.startswith("${") and image != "scratch"]
    assert len(named) == 3
    assert all(re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", image) for image in named), named
    uses = [
        re.match(r"\s*- uses: (.*)", line)
        for file in (ROOT / ".github" / "workflows").iterdir()
        for line in file.read_text().splitlines()
    ]
    actions = [use[1] for use in uses if use]
    assert len(actions) > 5
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action) for action in actions), actions
    kept = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in kept} == {"github-actions", "docker"}


def test_nothing_is_installed_whose_hash_is_not_known() -> None:
    installs = [
        command
        for argument in values("RUN", INSTRUCTIONS)
        for command in re.split(r"&&", argument)
        if re.search(r"pip\b.* install", command, flags=re.DOTALL)
    ]
    assert len(installs) == 2
    for command in installs:
        assert "--require-hashes" in command or "--no-index" in command, command


def test_no_python_imports_from_the_folder_that_it_works_in() -> None:
    """`python -m` looks there first: for a pip.py, say. -P and -I keep it from that."""
    texts = [(ROOT / name).read_text() for name in ("Makefile", "Dockerfile", ".devcontainer/devcontainer.json")]
    started = re.findall(r"(?:python\d*|\$\(PYTHON\))((?: -\w)*) -m (\S+)", "\n".join(texts))
    assert len(started) > 10
    ours = {"tests.bench", "tests.bench.on_node", "tests.node", "image"}
    assert {module for flags, module in started if not {"-P", "-I"} & set(flags.split())} == ours


def test_the_final_image_runs_as_the_charts_user() -> None:
    deployment = (ROOT / "charts/troth/templates/deployment.yaml").read_text()
    assert re.search(r"runAsUser: (\d+)", deployment)[1] == str(USER)  # type: ignore[index]
    assert values("USER", FINAL) == [f"{USER}:{USER}"]


def test_the_dockerfile_has_its_contents_from_the_program_that_builds_without_docker() -> None:
    """And nothing beside: there is one list of what goes in."""
    assert any(re.search(r"python -m image root /rootfs$", command) for command in values("RUN", INSTRUCTIONS))
    assert values("FROM", INSTRUCTIONS)[-1] == "scratch"
    assert values("COPY", FINAL) == [
        "--from=build /rootfs /",
        f"--from=build --chown={USER}:{USER} /rootfs/{HOME} /{HOME}",
    ]
    assert values("RUN", FINAL) == []


def test_the_dockerfile_says_of_the_image_what_the_archive_says() -> None:
    naming = Naming(f"troth:{__version__}", __version__, "unknown", 0, "amd64")
    config = configuration([], naming)["config"]
    labels = dict(re.findall(r'(\S+)="([^"]*)"', " ".join(values("LABEL", FINAL))))
    assert {**labels, "org.opencontainers.image.version": __version__} == {
        **config["Labels"],
        "org.opencontainers.image.revision": "${REVISION}",
    }
    assert " ".join(values("ENV", FINAL)).split() == config["Env"]
    assert values("USER", FINAL) == [config["User"]]
    assert values("WORKDIR", FINAL) == [config["WorkingDir"]]
    assert [f"{port}/tcp" for port in values("EXPOSE", FINAL)[0].split()] == list(config["ExposedPorts"])
    assert [json.loads(command) for command in values("ENTRYPOINT", FINAL)] == [config["Entrypoint"]]
    assert [json.loads(command) for command in values("CMD", FINAL)] == [config["Cmd"]]
    assert values("HEALTHCHECK", FINAL) == ["NONE"]


def test_the_image_has_what_the_operator_starts_and_nothing_to_build_or_fetch_with() -> None:
    packages = set(listed_packages(PACKAGES.read_text()))
    assert {"git", "openssh-client", "tini", "ca-certificates", f"python{PYTHON}"} <= packages
    assert not packages & {"apt", "build-essential", "curl", "gcc", "make", "python3-pip", "wget"}


def test_the_versions_of_package_image_and_chart_are_one() -> None:
    chart = yaml.safe_load((ROOT / "charts/troth/Chart.yaml").read_text())
    assert f"VERSION={__version__}" in values("ARG", FINAL)
    assert chart["appVersion"] == __version__


def test_kind_makes_the_cluster_that_the_make_target_talks_to() -> None:
    config = yaml.safe_load((ROOT / "kind-config.yaml").read_text())
    assert config["kind"] == "Cluster"
    assert config["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    assert re.search(rf"^CLUSTER \?= {config['name']}$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)

"""The documentation agrees with itself and with the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from tests.documents import ROOT, blocks, pages
from tests.guides import SHOWN
from tests.unit.promises.library import render_valid, request_of
from troth.api.objects import read_promise
from troth.api.pipelines import parse_pipelines
from troth.app.settings import fields, flag_of, variable_of
from troth.engine import bookkeeping
from troth.engine import status as status_package
from troth.engine.failure import Reason as FailureReason
from troth.engine.rendering.filters import allowed_filters, allowed_tests
from troth.stores import Reason as StoreReason

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
STATUS_PAGE = ROOT / "docs" / "reference" / "status.md"


def anchors(page: Path) -> set[str]:
    text = FENCED.sub("", page.read_text("utf-8"))
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text)]
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.relative_to(ROOT)}: {target} does not exist"
        if anchor:
            assert anchor in anchors(linked), f"{page.relative_to(ROOT)}: {target} has no such heading"


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_page_is_in_the_index(page: Path) -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    assert page in {*linked, index}, f"link {page.relative_to(ROOT)} from docs/README.md"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_manifest_in_the_documentation_is_yaml_and_every_promise_parses(page: Path) -> None:
    for block in blocks(page):
        if block.language != "yaml" or block.comment in {"foreign"} | SHOWN:
            continue
        for document in yaml.safe_load_all(block.text):
            if document.get("kind") == "Promise" and "{from: " not in block.text:
                workflows = read_promise(document).spec.resource_workflows
                assert parse_pipelines(workflows.configure, "configure"), block.where


def test_the_readme_opens_with_exactly_two_commands() -> None:
    first = next(block for block in blocks(ROOT / "README.md") if block.language == "sh")
    assert first.text.split("\n") == ["make demo", "make test", ""]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets


def test_the_quickstart_looks_where_make_dev_puts_things() -> None:
    (data,) = re.findall(r"troth dev --data (\S+)", (ROOT / "Makefile").read_text("utf-8"))
    text = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    assert set(re.findall(r"--data (\S+)", text)) == {data}
    assert set(re.findall(r"git -C (\S+)", text)) == {f"{data}/gitops.git"}


@pytest.mark.parametrize("reason", get_args(FailureReason))
def test_every_reason_of_a_failed_template_is_documented(reason: str) -> None:
    assert f"`{reason}`" in STATUS_PAGE.read_text("utf-8")


@pytest.mark.parametrize("reason", [reason for reason in StoreReason if reason is not StoreReason.CLOSED])
def test_every_reason_of_a_store_is_documented(reason: StoreReason) -> None:
    assert f"`{reason}`" in (ROOT / "docs" / "reference" / "stores.md").read_text("utf-8")


def test_every_reason_of_a_condition_is_documented() -> None:
    text = STATUS_PAGE.read_text("utf-8")
    reasons = set()
    for module in Path(status_package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Condition":
                reasons |= {
                    argument.value
                    for argument in node.args[2:3]
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                }
    assert len(reasons) > 20
    assert {reason for reason in reasons if f"`{reason}`" not in text} == set()


@pytest.mark.parametrize("name", sorted({*allowed_filters(), *allowed_tests()}))
def test_every_filter_and_test_is_documented(name: str) -> None:
    if name[0].isalpha():
        text = (ROOT / "docs" / "reference" / "template.md").read_text("utf-8")
        assert re.search(rf"`{name}(\([^`]*\))?`", text), name


def test_the_page_of_templates_lists_exactly_what_is_hidden_from_them() -> None:
    text = (ROOT / "docs" / "reference" / "template.md").read_text("utf-8")
    (section,) = re.findall(r"^### What tools note .*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\|[^|]*\|([^|]*)\|$", section, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([^`]+/[^`]*)`", row)}
    assert told == {*bookkeeping.NAMES, bookkeeping.MANAGED_BY, *(f"{each}…" for each in bookkeeping.PREFIXES)}
    assert {name for name in (*bookkeeping.MANAGERS, *bookkeeping.FIELDS) if f"`{name}`" not in section} == set()


def test_every_runtime_and_development_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[<>=!\[; ]", requirement, maxsplit=1)[0] for requirement in wanted}
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_the_readmes_promise_gives_back_exactly_what_was_asked() -> None:
    files = {block.argument: block.text for block in blocks(ROOT / "README.md") if block.comment == "file"}
    promise, asked = (yaml.safe_load(files[name]) for name in ("website.yaml", "request.yaml"))
    request = request_of(promise, asked["metadata"]["name"], asked["spec"])
    output = render_valid(promise, request)
    assert output.only("ConfigMap")["data"] == {"title": asked["spec"]["title"], "pages": "1"}
    assert output.status == {"message": f"{asked['spec']['title']}, 1 pages"}


def test_the_page_of_settings_is_the_table_of_all_settings() -> None:
    rows = []
    for item in fields():
        default = f"`{item.default:g}`" if isinstance(item.default, float) else f"`{item.default}`"
        default += f" {item.metadata['unit']}" if item.metadata["unit"] else ""
        choices = f" One of {', '.join(f'`{choice}`' for choice in item.metadata['choices'])}."
        text = item.metadata["help"] + (choices if item.metadata["choices"] else "")
        shown = default if item.default != "" else "none"
        rows.append(f"| `{flag_of(item.name)}` | `{variable_of(item.name)}` | {shown} | {text} |")
    table = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8").partition("|---|---|---|---|\n")[2]
    assert table.splitlines() == rows


def test_the_page_of_settings_names_those_that_take_effect_without_a_restart() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    sentence = page.partition("Changes of ")[2].partition(" take effect")[0]
    named = {"_".join(re.findall("[A-Z]?[a-z]+", name)).lower() for name in re.findall("`(.+?)`", sentence)}
    assert named == {item.name for item in fields() if item.metadata["live"]}

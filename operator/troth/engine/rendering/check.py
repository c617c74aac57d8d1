"""Checks whether the templates of a pipeline can be used at all, when a Promise is applied.

Every source is compiled, and each filter, test, partial and name that is certainly wrong is found. Faults that depend
on a request (a field that it may lack) cannot be found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import meta, nodes

from troth.api.pipelines import SCOPE, JinjaPipeline
from troth.api.strict import close_match
from troth.engine.failure import Failure
from troth.engine.rendering.diagnosis import Attempt, diagnose
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.templates import Environment
from troth.engine.rendering.values import Oversized, Tokens

_FORGIVING_FILTERS = ("default", "d")
_FORGIVING_TESTS = ("defined", "undefined")
_PER_ITEM = ("item", "index")


def check_pipeline(
    pipeline: JinjaPipeline, *, limits: Limits | None = None, environment: Environment | None = None
) -> Failure | None:
    """Returns the failure of the first template that cannot be used, or None. It only compiles, and renders nothing."""
    limits = limits or Limits()
    base = environment or Environment()
    attempt = Attempt(base, {})
    try:
        bound = base.for_render(Tokens("0", most=1), pipeline.partials)
        attempt = Attempt(bound, {}, definitions=pipeline.values)
        for display, source, per_item in _sources(pipeline):
            attempt.begin(display, source, {})
            found = _check_source(source, display, pipeline, bound, limits, per_item=per_item)
            if found is not None:
                return found.within(pipeline.name)
    except Exception as error:  # noqa: BLE001 - a hostile source may raise anything; each becomes a Failure
        return diagnose(error, attempt).within(pipeline.name)
    return None


def _check_source(
    source: str, display: str, pipeline: JinjaPipeline, environment: Environment, limits: Limits, *, per_item: bool
) -> Failure | None:
    if len(source) > limits.source_bytes:
        raise Oversized(f"the template is longer than {limits.source_bytes} characters")
    if "{" not in source:
        return None
    environment.bind(source, display)
    tree = environment.parse_plain(source)
    found = _unknown_partial(tree, pipeline, display)
    if found is None and not display.startswith("partials."):
        found = _unknown_name(tree, pipeline, display, environment, per_item=per_item)
    return found


def _sources(pipeline: JinjaPipeline) -> Iterator[tuple[str, str, bool]]:
    """Yields each source with its name in errors, and whether it is evaluated for each item."""
    for name, source in pipeline.partials.items():
        yield f"partials.{name}", source, False
    for name, value in pipeline.values.items():
        yield from _leaves(value, f"values.{name}")
    for index, file in enumerate(pipeline.files):
        per_item = file.for_each is not None
        if file.for_each is not None:
            yield f"files[{index}].forEach", file.for_each, False
        if file.when is not None:
            yield f"files[{index}].when", file.when, per_item
        yield f"files[{index}].path", file.path, per_item
        yield file.path, file.template, per_item
    for index, rule in enumerate(pipeline.destinations):
        yield f"destinations[{index}].directory", rule.directory, False
        yield from _leaves(rule.match_labels, f"destinations[{index}].matchLabels")
    for index, move in enumerate(pipeline.moved):
        for name, leaf in (("kind", move.kind), ("from", move.old), ("to", move.new)):
            yield f"moved[{index}].{name}", leaf, False
    for field, leaves in (("status", pipeline.status), ("control", pipeline.control)):
        yield from _leaves(leaves, field)


def _leaves(value: Any, where: str) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, str):
        yield where, value, False
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield where, key, False
            yield from _leaves(child, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{where}[{index}]")


def _unknown_partial(tree: nodes.Template, pipeline: JinjaPipeline, display: str) -> Failure | None:
    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        template = getattr(node, "template", None)
        if getattr(node, "ignore_missing", False) or not isinstance(template, nodes.Const):
            continue
        name = template.value
        if isinstance(name, str) and name not in pipeline.partials:
            meant = close_match(name, pipeline.partials)
            return Failure(
                "TemplateSyntax",
                f"there is no partial {name!r}",
                file=display,
                line=node.lineno,
                hint=f"did you mean {meant!r}?" if meant else "add it to partials",
            )
    return None


def _unknown_name(
    tree: nodes.Template, pipeline: JinjaPipeline, display: str, environment: Environment, *, per_item: bool
) -> Failure | None:
    known = {*SCOPE, *pipeline.values, *environment.globals, "self", "loop"}
    if not per_item:
        known.difference_update(_PER_ITEM)
    # An included template or a block may have set a name, which cannot be known here.
    if next(tree.find_all((nodes.Include, nodes.Extends)), None) is not None:
        return None
    unknown = meta.find_undeclared_variables(tree) - known - _forgiven(tree)
    if not unknown:
        return None
    name = min(unknown)
    line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), None)
    if name in _PER_ITEM:
        hint = "it exists in files with forEach only"
    else:
        meant = close_match(name, known)
        hint = f"did you mean {meant}?" if meant else f"available: {_listed(known - set(environment.globals))}"
    return Failure(
        "TemplateUndefined", f"there is no {name!r} here", file=display, line=line, input=name, hint=hint
    )


def _forgiven(tree: nodes.Template) -> set[str]:
    """Returns the names that the template itself expects to be missing."""
    forgiven: set[str] = set()
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        names = _FORGIVING_FILTERS if isinstance(node, nodes.Filter) else _FORGIVING_TESTS
        if node.name in names and node.node is not None:
            forgiven.update(
                name.name for name in (node.node, *node.node.find_all(nodes.Name)) if isinstance(name, nodes.Name)
            )
    return forgiven


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names - {"self", "loop"} if isinstance(names, set) else names))

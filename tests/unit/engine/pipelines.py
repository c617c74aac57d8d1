"""Short ways to make a pipeline and to render it, for the engine's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from troth.api.pipelines import JinjaPipeline, parse_pipeline
from troth.engine.failure import Failure
from troth.engine.rendering.limits import Limits
from troth.engine.rendering.render import Outcome, RenderContext, Rendered, render_pipeline
from troth.engine.rendering.templates import Environment
from troth.engine.yaml.manifests import load_documents

PROMISE = {"name": "postgresql", "version": "v1.0.0", "labels": {"team": "data"}}
REQUEST: dict[str, Any] = {
    "apiVersion": "database.example.com/v1",
    "kind": "PostgreSQL",
    "metadata": {"name": "orders", "namespace": "shop", "labels": {"app": "orders"}},
    "spec": {"size": "small", "version": "16", "databases": [{"name": "main"}, {"name": "audit"}]},
}
ENVIRONMENT = Environment()
"""Shared, so that templates compile once in a test run."""


def pipeline(template: str = "", *, path: str = "file.yaml", name: str = "main", **spec: Any) -> JinjaPipeline:
    """A pipeline with one file, or with what ``spec`` says."""
    files = [{"path": path, "template": template}] if template else []
    parsed = parse_pipeline(
        {
            "apiVersion": "troth.dev/v1alpha1",
            "kind": "JinjaPipeline",
            "metadata": {"name": name},
            "spec": {"files": files, **spec},
        },
        "pipeline",
    )
    assert isinstance(parsed, JinjaPipeline)
    return parsed


def context(spec: Mapping[str, Any] | None = None, **metadata: Any) -> RenderContext:
    """What the templates of a request read."""
    request = {
        **REQUEST,
        "metadata": {**REQUEST["metadata"], **metadata},
        "spec": REQUEST["spec"] if spec is None else spec,
    }
    return RenderContext(PROMISE, request)


def render(
    pipeline: JinjaPipeline,
    context_: RenderContext | None = None,
    *,
    nonce: str = "abc123",
    limits: Limits | None = None,
) -> Outcome:
    """The outcome of one pipeline."""
    return render_pipeline(
        pipeline, context_ or context(), limits=limits or Limits(), nonce=nonce, environment=ENVIRONMENT
    )


def rendered(template: str, spec: Mapping[str, Any] | None = None, **kwargs: Any) -> Rendered:
    """What a template gives; it must not fail."""
    outcome = render(pipeline(template, **kwargs), context(spec))
    assert isinstance(outcome, Rendered), outcome
    return outcome


def documents(template: str, spec: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Any]:
    """The documents of the only file that a template gives."""
    (file,) = rendered(template, spec, **kwargs).files
    return load_documents(file.content.decode())


def document(template: str, spec: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
    """The only document that a template gives."""
    (only,) = documents(template, spec, **kwargs)
    return only


def failure(template: str, spec: Mapping[str, Any] | None = None, **kwargs: Any) -> Failure:
    """Why a template gives nothing; it must fail."""
    outcome = render(pipeline(template, **kwargs), context(spec))
    assert isinstance(outcome, Failure), outcome
    return outcome

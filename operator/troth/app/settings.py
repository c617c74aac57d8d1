"""The settings of the operator, with their defaults and the reasons for them.

They are one frozen dataclass, which is filled from flags, from ``TROTH_*`` environment variables and from a YAML file
(the mounted ConfigMap), in this order of precedence. The flags, the variables and the reference page are made from the
fields, so that none can be forgotten. Rejected: pydantic-settings, which would replace one page of code and bring a
second way to write a dataclass.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from troth.api import TrothError
from troth.api import labels as names
from troth.api.intervals import DEFAULT_INTERVAL, SHORTEST_INTERVAL


class InvalidSettings(TrothError):
    """A setting is unknown or has a value that cannot be used. The message names it and its source."""


def setting(
    default: Any,
    help_text: str,
    *,
    choices: tuple[str, ...] = (),
    unit: str = "",
    least: float = 0,
    live: bool = False,
) -> Any:
    """A field of `Settings` with its explanation.

    Args:
        default: its value where nothing is said.
        help_text: what it is for, in whole sentences.
        choices: its allowed values; any when empty.
        unit: the unit of its number, if it has one.
        least: the least value of its number.
        live: whether a change in the file takes effect while the operator runs.
    """
    metadata = {"help": help_text, "choices": choices, "unit": unit, "least": least, "live": live}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings. Durations are seconds, sizes are MiB."""

    kubeconfig: str = setting(
        "", "Path of a kubeconfig; empty: the in-cluster account, else the usual kubeconfig."
    )
    context: str = setting("", "Context of the kubeconfig; empty: its current one.")
    system_namespace: str = setting(
        names.SYSTEM_NAMESPACE, "Namespace of the operator's own objects and of the Works of Promises."
    )
    pipeline_namespaces: str = setting(
        "",
        "Namespaces, separated by commas, that a Promise's pipelineNamespace may name although they are the "
        "cluster's or the operator's own (kube-system, for example).",
    )
    workers: int = setting(32, "Reconciles that run at once. They wait for the API server most of the time.")
    waiting: int = setting(
        5000,
        "Reconciles that may exist at once, those that wait for a store or to be rendered included. "
        "A namespace, or the requests of one Promise, may have half of them.",
    )
    render_workers: int = setting(2, "Processes that render templates.")
    render_timeout: float = setting(2.0, "Longest time that the templates of one object may take.", unit="seconds")
    render_memory: int = setting(
        192, "Memory that each render process may use; one additional process lints.", unit="MiB"
    )
    resync_interval: float = setting(
        900.0, "How often every kind is listed again, in case a watch missed something.", unit="seconds"
    )
    refusal_limit: float = setting(
        30.0,
        "How long the API server may answer that Promises are forbidden or unknown before the operator ends.",
        unit="seconds",
    )
    store_poll: float = setting(
        10.0, "How often a state store is checked for lost files and changed Secrets.", unit="seconds", live=True
    )
    failing_store_poll: float = setting(3.0, "The same while the store is not ready.", unit="seconds", live=True)
    contents_cache: int = setting(
        64, "Memory for contents of files between their render and their commit.", unit="MiB"
    )
    adapter_image: str = setting(
        "",
        "Image of Troth for the pods of container pipelines, such as registry.example.com/troth:1.0; "
        "empty: container pipelines are refused.",
    )
    adapter_pull_secret: str = setting("", "Name of the Secret with which those pods pull that image.")
    object_in_annotation: bool = setting(
        True,
        "true or false: whether those pods have the request, or the Promise, in an annotation, where everybody who "
        "may read pods or jobs sees it. Without it, a container reads it, which takes about a second.",
        live=True,
    )
    flat_workflow_status: bool = setting(
        True,
        "true or false: whether the progress of configure workflows is also written where Kratix had it before it "
        "distinguished actions, directly in status.kratix.workflows. Older tools of Kratix read it there.",
        live=True,
    )
    reconciliation_interval: float = setting(
        DEFAULT_INTERVAL,
        "After how long a workflow runs again although nothing has changed, where its Promise does not say; "
        "at least 60.",
        unit="seconds",
        least=SHORTEST_INTERVAL,
    )
    reconcile_after_failure: bool = setting(
        True, "true or false: whether a workflow that has failed runs again after that interval, too."
    )
    workspace: str = setting(
        "", "Folder for clones of Git repositories; empty: one of this user among the temporary files."
    )
    local_stores: str = setting(
        "", "Folder that Git repositories by path and DirectoryStateStores must be inside; empty: none is allowed."
    )
    probes_host: str = setting(
        "", "Address of the probes. Empty: all addresses in a pod, 127.0.0.1 elsewhere; *: all addresses."
    )
    metrics_host: str = setting("", "Address of the metrics; empty: that of the probes.")
    probes_port: int = setting(8081, "Port of /healthz and /readyz; 0: a free one.")
    metrics_port: int = setting(8080, "Port of /metrics; 0: a free one; the probes' port: on the same server.")
    conversion_service: str = setting(
        "",
        "Name of the Service, in the operator's namespace, through which the API server reaches the webhook that "
        "converts requests between the versions of a Promise's API; empty: declared conversions are refused.",
    )
    conversion_address: str = setting(
        "", "Address at which the API server reaches that webhook without a Service, such as 127.0.0.1."
    )
    conversion_port: int = setting(8443, "Port of that webhook; 0: a free one.")
    ports_file: str = setting("", "File to write the ports to, as JSON, once they are open.")
    stall_limit: float = setting(
        10.0, "Longest time that the event loop may stand still before /healthz fails.", unit="seconds"
    )
    log_format: Literal["plain", "json"] = setting(
        "plain", "Logs for people or for machines.", choices=("plain", "json")
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "What is logged.", choices=("debug", "info", "warning", "error"), live=True
    )
    shutdown_grace: float = setting(
        20.0, "Longest time to finish what is being written after SIGTERM.", unit="seconds"
    )


def fields() -> tuple[dataclasses.Field[Any], ...]:
    """The settings, in the order of the reference page."""
    return dataclasses.fields(Settings)


def type_of(item: dataclasses.Field[Any]) -> type:
    """The Python type of a setting: str, int, float or bool."""
    hint = typing.get_type_hints(Settings)[item.name]
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0])
    if isinstance(hint, types.UnionType):
        return str
    return typing.cast("type", hint)


def flag_of(name: str) -> str:
    """The flag of a setting: ``--render-timeout`` for ``render_timeout``."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The variable of a setting: ``TROTH_RENDER_TIMEOUT`` for ``render_timeout``."""
    return "TROTH_" + name.upper()


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None) -> Settings:
    """The settings from flags, environment and file. A flag that is None was not given.

    Raises:
        InvalidSettings: a name is unknown or a value cannot be used.
    """
    values: dict[str, Any] = {}
    if config is not None:
        for name, value in _read_file(config).items():
            values[name] = _convert(name, value, f"{config}")
    for item in fields():
        variable = variable_of(item.name)
        if variable in environment:
            values[item.name] = _convert(item.name, environment[variable], variable)
    for name, value in flags.items():
        if value is not None:
            values[name] = _convert(name, value, flag_of(name))
    return Settings(**values)


def how_to_reread(
    flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None
) -> Callable[[], Settings] | None:
    """What reads the settings again (`load_settings`); None without a file, since nothing else can change them."""
    return None if config is None else partial(load_settings, flags, environment, config)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise InvalidSettings(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise InvalidSettings(f"{path}: must be a map of settings")
    known = {item.name for item in fields()}
    found = {}
    for key, value in content.items():
        name = _snake(str(key))
        if name not in known:
            raise InvalidSettings(f"{path}: unknown setting {key!r}; known: {', '.join(sorted(known))}")
        found[name] = value
    return found


def _snake(name: str) -> str:
    """``renderTimeout`` and ``render-timeout`` are ``render_timeout``."""
    spelled = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return spelled.replace("-", "_").lstrip("_")


def _convert(name: str, value: Any, source: str) -> Any:
    item = next(entry for entry in fields() if entry.name == name)
    wanted = type_of(item)
    try:
        converted = item.default if value is None else _read_bool(value) if wanted is bool else wanted(value)
    except (TypeError, ValueError):
        what = "true or false" if wanted is bool else wanted.__name__
        raise InvalidSettings(f"{source}: {name} must be {what}, not {value!r}") from None
    choices = item.metadata["choices"]
    if choices and converted not in choices:
        raise InvalidSettings(f"{source}: {name} must be one of {', '.join(choices)}, not {value!r}")
    if isinstance(converted, int | float) and not isinstance(converted, bool) and converted < 0:
        raise InvalidSettings(f"{source}: {name} must not be negative")
    if isinstance(converted, float) and converted < (least := item.metadata["least"]):
        raise InvalidSettings(f"{source}: {name} must be at least {least:g}, not {value!r}")
    return converted


def _read_bool(value: Any) -> bool:
    """Reads true or false. Raises ValueError for anything else; ``bool`` would take the text false for true."""
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"

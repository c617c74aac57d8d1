"""Kubeconfigs as people write them: read from files, merged, and checked before anything is taken from them.

A path may lead to anything: nothing, a manifest, a folder, a section of another type. The library would report Python's
own exceptions, and quote the file with its secrets. So each fault has a sentence here, which names the field.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from kubernetes.aio.config.kube_config import ConfigNode

from troth.kube.errors import CredentialsError

SECTIONS: Final = {"clusters": "cluster", "contexts": "context", "users": "user"}
_TEXTS: Final = {
    "cluster": ("server", "certificate-authority", "certificate-authority-data", "tls-server-name", "proxy-url"),
    "context": ("cluster", "user", "namespace"),
    "user": (
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "tokenFile",
        "token",
        "username",
        "password",
    ),
}
_NAMED_IN: Final = {"context": "current-context", "cluster": "context", "user": "context"}
_MAPS: Final = {"user": ("exec", "auth-provider")}


def read_files(paths: str) -> ConfigNode:
    """Returns the merged kubeconfig of files, separated as in ``$KUBECONFIG``. As for kubectl, the first file wins.

    Raises:
        CredentialsError: there is no file, or one of them cannot be used.
    """
    merged: dict[str, Any] = {section: [] for section in SECTIONS}
    read = found = 0
    for part in filter(None, paths.split(os.pathsep)):
        path = Path(part).expanduser()
        if not path.exists():
            continue
        found += 1
        document = _read(path, f"the kubeconfig {path}")
        if document is None:
            continue
        read += 1
        check_kubeconfig(document, f"the kubeconfig {path}")
        for section in SECTIONS:
            known = {node.value["name"] for node in merged[section]}
            merged[section] += [
                ConfigNode(f"{path}/{section}", entry, str(path))
                for entry in document.get(section) or ()
                if entry["name"] not in known
            ]
        for key, value in document.items():
            if key not in SECTIONS and merged.get(key) in (None, ""):
                merged[key] = value
    if not found:
        raise CredentialsError(f"the kubeconfig {paths} does not exist")
    if not read:
        raise CredentialsError(f"the kubeconfig {paths} is empty: name one with a cluster and a context")
    return ConfigNode(paths, merged, paths)


def _read(path: Path, name: str) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise CredentialsError(f"{name} is not UTF-8 text: name a file in YAML") from None
    except OSError as error:
        raise CredentialsError(f"{name} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The problem's own words quote the file, and with it what may be a token.
        mark = getattr(error, "problem_mark", None)
        raise CredentialsError(f"{name} is not YAML" + (f", see line {mark.line + 1}" if mark else "")) from None


def check_kubeconfig(document: Any, name: str, *, quote: bool = True) -> None:
    """Checks that every field of a kubeconfig that may be read has the right type.

    Without ``quote``, the message holds nothing of the document but the names of Kubernetes' own fields.

    Raises:
        CredentialsError: a field has another type; the message does not quote any value.
    """
    if not isinstance(document, Mapping):
        raise CredentialsError(f"{name} is {_kind(document)} and not a kubeconfig: name a file with kind: Config")
    kind = document.get("kind")
    if kind not in (None, "", "Config"):
        held = kind if isinstance(kind, str) and quote else "manifest"
        raise CredentialsError(f"{name} holds a {held} and not a kubeconfig: name a file with kind: Config")
    current = document.get("current-context")
    if current is not None and not isinstance(current, str):
        raise CredentialsError(f"{name}: current-context is {_kind(current)}, and must be a text")
    for section, content in SECTIONS.items():
        entries = document.get(section)
        if entries is not None and not isinstance(entries, list):
            raise CredentialsError(f"{name}: {section} is {_kind(entries)}, and must be a list")
        for index, entry in enumerate(entries or ()):
            field = f"{section}[{index}]"
            if not isinstance(entry, Mapping):
                raise CredentialsError(f"{name}: {field} is {_kind(entry)}, and must be a map with a name")
            if not isinstance(entry.get("name"), str):
                raise CredentialsError(f"{name}: {field}.name is {_kind(entry.get('name'))}, and must be a text")
            _check_content(entry.get(content), f"{name}: {field}.{content}", content)


def _check_content(content: Any, where: str, kind: str) -> None:
    if content is None:
        return
    if not isinstance(content, Mapping):
        raise CredentialsError(f"{where} is {_kind(content)}, and must be a map")
    for wanted, fields in ((str, _TEXTS.get(kind, ())), (Mapping, _MAPS.get(kind, ()))):
        for field in fields:
            if content.get(field) is not None and not isinstance(content[field], wanted):
                what = "a text" if wanted is str else "a map"
                raise CredentialsError(f"{where}.{field} is {_kind(content[field])}, and must be {what}")
    extensions = content.get("extensions")
    if extensions is not None and not (
        isinstance(extensions, list) and all(isinstance(extension, Mapping) for extension in extensions)
    ):
        raise CredentialsError(f"{where}.extensions must be a list of maps")


def entry_named(
    config: ConfigNode, section: str, wanted: str, name: str, *, why: str = "", quote: bool = True
) -> ConfigNode:
    """Returns the entry of a section with that name.

    Raises:
        CredentialsError: there is no such entry; the message lists the names that exist.
    """
    entries = config.value.get(section) or []
    content = SECTIONS[section]
    for entry in entries:
        node = (
            entry if isinstance(entry, ConfigNode) else ConfigNode(f"{config.name}/{section}", entry, config.path)
        )
        if node.value["name"] == wanted:
            if node.value.get(content) is None and content == "user":
                node.value["user"] = {}
            elif node.value.get(content) is None:
                raise CredentialsError(f"{name}: its {content}{_shown(wanted, quote)} is empty")
            return node
    names = [entry.value["name"] if isinstance(entry, ConfigNode) else entry["name"] for entry in entries]
    if not quote:
        raise CredentialsError(f"{name} names a {content} in its {_NAMED_IN[content]} that it does not have")
    raise CredentialsError(f"{name} has no {content} {wanted!r}{why}: {_offered(names, content)}")


def current_context(config: ConfigNode, name: str, *, quote: bool = True) -> str:
    """Returns the name of the current context, which is used when no other is named.

    Raises:
        CredentialsError: the kubeconfig does not name one.
    """
    chosen = config.value.get("current-context")
    if isinstance(chosen, str) and chosen:
        return chosen
    names = [
        entry.value["name"] if isinstance(entry, ConfigNode) else entry["name"]
        for entry in config.value.get("contexts") or ()
    ]
    offered = f": {_offered(names, 'context')}" if quote else ""
    raise CredentialsError(f"{name} does not name a current-context{offered}")


def check_server(server: Any, cluster: str, name: str, *, quote: bool = True) -> None:
    """Checks that the server of a cluster is an address.

    Raises:
        CredentialsError: it is not an address.
    """
    if not server:
        raise CredentialsError(f"{name}: its cluster{_shown(cluster, quote)} does not name a server")
    sound = is_address(server)
    if not sound:
        raise CredentialsError(
            f"{name}: its cluster{_shown(cluster, quote)} has a server that is not an address: write https://HOST:PORT"
        )


def is_address(url: Any) -> bool:
    """Whether a value is an HTTP or HTTPS URL with a host."""
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False


def _shown(value: object, quote: bool) -> str:
    return f" {value!r}" if quote else ""


def _offered(names: Sequence[str], content: str) -> str:
    if not names:
        return f"it has no {content} at all"
    return f"it has {', '.join(names[:8])}{' and others' if len(names) > 8 else ''}"


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    for kind, word in ((bool, "a boolean"), (Mapping, "a map"), (list, "a list"), (str, "a text")):
        if isinstance(value, kind):
            return word
    return "a number" if isinstance(value, (int, float)) else "something else"

"""Keeps programs that are started here from using modules and programs in the current working folder.

`python -m` looks for modules in the working folder first, and for a `sitecustomize.py` in `PYTHONPATH` before anything
else runs. So the code in a folder with a `yaml.py` or a `prometheus_client.py`, which may be somebody's Promise,
would be run. A Python that is started here only gets the folders in which this one has its modules. In the same way,
a `git` in the working folder must not be run, even if `PATH` has a `.` in it.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_OURS: Final = str(Path(__file__).parents[1])


def python() -> list[str]:
    """The command of this interpreter, which does not look for modules in its working folder or its user's folders."""
    return [sys.executable, "-P", "-s"]


def python_command(module: str) -> list[str]:
    """The command of a new interpreter that runs a module. It needs `python_environment`."""
    return [*python(), "-m", module]


def python_environment(surroundings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a new interpreter: the given variables without those of Python, and where modules are."""
    passed_on = {name: value for name, value in (surroundings or {}).items() if not name.startswith("PYTHON")}
    return {**passed_on, "PYTHONPATH": os.pathsep.join(module_folders())}


def module_folders() -> list[str]:
    """The folders in which this interpreter has its modules: absolute paths, in the order of the search.

    The working folder and the folders in it, which Python or pytest may have added, are left out. They stay if Python,
    an environment or Troth is installed there, or if `PYTHONPATH` names them with an absolute path.
    """
    here = os.getcwd()  # noqa: PTH109 - text in, text out
    asked = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    wanted = {*installed_folders(), *(path for path in asked if os.path.isabs(path))}  # noqa: PTH117
    return [
        path
        for path in (os.path.abspath(entry) for entry in sys.path if entry)  # noqa: PTH100
        if not _is_inside(path, here) or any(_is_inside(path, folder) for folder in wanted)
    ]


def installed_folders() -> set[str]:
    """The folders of Python's own modules, those of its environment, and Troth's."""
    user = {site.USER_SITE} if site.ENABLE_USER_SITE and site.USER_SITE else set()
    return {_OURS, os.path.dirname(os.__file__), *site.getsitepackages(), *user}  # noqa: PTH120


def absolute_path(path: str) -> str:
    """A `PATH` without entries that are relative to the working folder, such as empty ones. Go does the same."""
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))  # noqa: PTH117


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)

"""What a program that is started here gets of the surroundings: nothing that lies where somebody happens to work.

`python -m` looks for modules in the working folder first, and `PYTHONPATH` is looked through for a `sitecustomize.py`
before anything else runs. So a folder with a `yaml.py` or a `prometheus_client.py` in it, such as somebody's Promise,
would have its code run. A Python that is started here gets the folders where this one has its modules, and no others.
In the same way a `git` in the working folder is not the git that is meant, whatever a `PATH` with a `.` in it says.
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
    """This interpreter, so that it looks for modules neither in its working folder nor in those of its user."""
    return [sys.executable, "-P", "-s"]


def python_command(module: str) -> list[str]:
    """The command of a fresh interpreter that runs a module; it needs `python_environment`."""
    return [*python(), "-m", module]


def python_environment(surroundings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a fresh interpreter: where modules are, and of what it is given all that is not Python's."""
    passed_on = {name: value for name, value in (surroundings or {}).items() if not name.startswith("PYTHON")}
    return {**passed_on, "PYTHONPATH": os.pathsep.join(module_folders())}


def module_folders() -> list[str]:
    """Where this interpreter has its modules: absolute paths, in the order in which they are looked through.

    Without the working folder and what is in it, which Python or pytest may have put there, unless it is where
    Python, an environment or Troth is installed, or where `PYTHONPATH` points with an absolute path.
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
    """Where Python's own modules, those of its environment and Troth's are."""
    user = {site.USER_SITE} if site.ENABLE_USER_SITE and site.USER_SITE else set()
    return {_OURS, os.path.dirname(os.__file__), *site.getsitepackages(), *user}  # noqa: PTH120


def absolute_path(path: str) -> str:
    """A `PATH` without what is relative to the working folder; an empty entry is. Go looks for programs so, too."""
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))  # noqa: PTH117


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)

"""`python profiled.py FILE -m MODULE …`: like ``python -m MODULE …``, and writes a profile of the CPU time to FILE.

The standard library's ``python -m cProfile`` measures wall time, which on a busy machine depends on other programs.
"""

from __future__ import annotations

import cProfile
import runpy
import sys
import time


def main() -> None:
    file, _, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        profile.disable()
        profile.dump_stats(file)


if __name__ == "__main__":
    main()

"""`python profiled.py FILE -m MODULE …`: as ``python -m MODULE …``, with a profile of its CPU time in FILE at the end.

The standard library's ``python -m cProfile`` counts wall time, which on a busy machine says how busy the others were.
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

"""The engine's worker as a fork of the command: it starts in milliseconds, with the same limits as in the operator.

`bounded_worker` sends it jobs and ends it. `forks` forks it from this process if that has only one thread, and
`fork_server` forks it from another process if this one has several.
"""

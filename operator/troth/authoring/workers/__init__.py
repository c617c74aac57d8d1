"""The engine's worker as a fork of the command: there in milliseconds, bounded and confined as in the operator.

`bounded_worker` asks it and ends it, `forks` makes it from this process while that has one thread, and `fork_server`
makes it from another one when this has several.
"""

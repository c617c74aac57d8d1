"""Working on Promises without a cluster: build, render, test, lint, with the operator's own engine.

Nothing here talks to a network. Templates are rendered by the same code as in the operator, in a process that bounds
itself, so what is seen here is what would happen there.
"""

"""Tools for working on Promises without a cluster: build, render, test and lint, with the operator's own engine.

Nothing here uses a network. Templates are rendered by the same code as in the operator, in a process that limits its
own time and memory, so what is seen here is what would happen there.

Each package imports only those after it in this list (`make lint` checks that): `starting` (begins a Promise from what
exists), `lint`, `testing`, `rendering` (what would become of a request, and where its files would go). `home` is the
folder that people edit, `known_kinds` is what is known of the kinds that it renders, and `workers` are the processes
that render it.
"""

"""Working on Promises without a cluster: build, render, test, lint, with the operator's own engine.

Nothing here talks to a network. Templates are rendered by the same code as in the operator, in a process that bounds
itself, so what is seen here is what would happen there.

Each package imports only those below it (`make lint` checks that): `starting` (begin a Promise from what exists),
`lint`, `testing`, `rendering` (what would become of a request, and where its files would go). `home` is the folder that
people edit, `known_kinds` what is known of the kinds that it renders, and `workers` are the processes that render it.
"""

"""A real Kubernetes node for tests, without Docker: Pods run here.

`needs.py` says whether this machine can have one, `programs.py` where its programs come from, `namespaced.py` starts
it, `configuration.py` what it consists of, `init.py` is its first process. `conftest.py` gives it to the tests, and
``python -m tests.node`` to a person.
"""

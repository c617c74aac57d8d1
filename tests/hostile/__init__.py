"""Attacks on a running operator, with one file for each kind of attack in SECURITY.md's table.

Attacks that do not need an API server are in tests/unit, next to the tests of the code that is attacked.
"""

"""Attacks on a running operator: one file for each kind that SECURITY.md's table promises to contain.

What needs no API server is attacked in tests/unit beside the code that has to hold.
"""

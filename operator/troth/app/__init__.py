"""The running operator. kopf starts and ends it; login, probes, metrics and settings are Troth's own.

Nothing is decided in this package; the reconcilers decide.
"""

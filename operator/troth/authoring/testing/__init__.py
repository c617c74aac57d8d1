"""Tests of Promises: requests, with what the operator's engine is expected to make of each.

Cases are YAML (``kind: PromiseTest``) and not a language of their own, or Python: authors of Promises write YAML all
day, editors complete it from the schema that ships here, and the people who make requests can read a case. For those
who prefer Python, there is a pytest plug-in.
"""

"""Tests of Promises: requests, what is expected of each, and whether the operator's engine keeps it.

Cases are YAML (``kind: PromiseTest``) rather than a language of their own or Python: whoever writes Promises writes
YAML all day, an editor completes it from the schema that ships here, and a case can be read by whoever asks for
the thing. Python is there for those who prefer it, as a plug-in of pytest.
"""

"""The processes that render, and who may wait for whom.

Nothing in Jinja bounds a template in time or memory, so templates run in processes of their own: how these are started,
confined, asked and ended, whose job is next, and who is held back for templates that did not end. What a worker
computes stands in the other packages.
"""

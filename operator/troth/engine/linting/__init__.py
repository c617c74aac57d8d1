"""Finds faults in what the templates of a Promise read, and in what they render.

Following templates is bounded by a number of steps, and rendering by the bounds of the caller's renderer. Both are
here, so that the operator reports the same about an applied Promise as a command does about one that is being written.
The report for the operator (`engine.lint_report`) is a module of its own, because a status uses it and needs nothing
else from here.
"""

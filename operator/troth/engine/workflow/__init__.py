"""The steps of a workflow: their outcomes, what they produced together, and their progress.

A step is one pipeline, of templates or of containers. Which step is next is decided here from the record in the
object's status. Nothing here runs a step.
"""

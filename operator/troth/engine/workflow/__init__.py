"""What the steps of a workflow come to: their outcomes, what they produced together, and how far they are.

A step is one pipeline, of templates or of containers. Which step is next is decided here from what the object's status
records, and nothing here runs a step.
"""

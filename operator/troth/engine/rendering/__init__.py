"""What one pipeline makes of a request and its Promise: files, a status and wishes, or the failure that ended it.

Rendering is a pure function. Here are the template language (what it may use, how a value stays a value, what one
rendering may cost), what templates are given, how an exception becomes a failure that people can act on, and what the
pipelines of a workflow produced together.
"""

"""Renders a pipeline for a request and its Promise: to files, a status and control values, or to a failure.

Rendering is a pure function. This package has the template language (what templates may use, how values stay values,
what one rendering may cost), the input of templates, and how an exception becomes a failure that people can act on.
"""

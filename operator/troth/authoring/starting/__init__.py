"""Starting a Promise: from fields, from a CustomResourceDefinition, or from manifests that exist."""

from troth.authoring.starting.start import Began, begin, write

__all__ = ["Began", "begin", "write"]

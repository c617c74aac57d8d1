"""Conversion of requests between the versions of a Promise's API.

The author of a Promise declares in one place, ``spec.api.conversions``, which field of one version is which field of
another. `declarations` reads that, `converting` converts objects in both directions by it, and `completeness` says
which fields would be lost. Everything here is pure: the API server calls a webhook, and the webhook calls this.
"""

"""A Promise's offer: its API as a CustomResourceDefinition, what it may reach, and what a change of it means.

Also: the patch that makes the definition on the cluster the one that the Promise asks for, the requests that no longer
fit a changed API, and how an API is relaxed while it is being removed.
"""

"""What a Promise offers: its API as a CustomResourceDefinition, what it may reach, and what a change of it means.

What has to be written so that the definition on the cluster is the one that the Promise asks for, which requests no
longer fit a changed API, and how an API is relaxed while it goes.
"""

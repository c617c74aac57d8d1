"""YAML and JSON as text: read as kubectl and the API server read them, and written so that every reader agrees.

What a word without quotes means, where a document ends, on which line a field is, and the one way in which Troth writes
a manifest. Nothing here knows what manifests are used for.
"""

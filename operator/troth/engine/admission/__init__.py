"""What the API server would do with an object, or with the definition of a kind, computed without an API server.

`admitting` is about objects and `definitions` about definitions. The rules in CEL have modules of their own (`cel…`,
`cost`, `steps`), which are loaded only where a definition has rules.
"""

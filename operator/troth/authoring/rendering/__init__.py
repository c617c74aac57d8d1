"""What the operator would make of a request or of a Promise, and where it would put the files: without an operator.

One module for each question: `requests` (what becomes of a request), `promise` (what becomes of the Promise itself),
`placement` (where the files go), `destinations` (which Destinations the platform's files declare), and `request_files`
(all of that for the files that a command was given). The decisions are the engine's; this stands in for the API server
and the stores.
"""

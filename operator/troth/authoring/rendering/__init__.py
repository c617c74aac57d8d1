"""Shows, without an operator, what it would render for a request or a Promise, and where it would put the files.

There is one module for each question: `requests` (what becomes of a request), `promise` (what becomes of the Promise
itself), `placement` (where the files go), `destinations` (which Destinations the platform's files declare), and
`request_files` (all of that for the files that a command was given). The engine decides; this package takes the place
of the API server and the stores.
"""

"""The image that ships: its contents, and an archive of it that needs no container engine.

`debian.py` fetches Debian's packages, `wheels.py` the Python distributions, `root.py` makes the file system from both,
`bill.py` says what is in it, and `archive.py` writes it as an OCI archive. The Dockerfile runs `root.py`, too, so the
contents are the same however the image is built; `engines.py` runs Docker or buildah where there is one.

Rejected: a Dockerfile and a script that each install packages in its own way (they would drift apart, and only one of
them would be tested); debootstrap (needs root, and installs five times as much); an image of Python as the base (its
interpreter is compiled by Docker, and cannot be had elsewhere).
"""

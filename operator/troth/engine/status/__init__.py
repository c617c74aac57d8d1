"""The conditions and the status of every kind, each computed from facts in one place and compared before a write.

A function ``…_status(old, facts, now=…)`` returns the keys of the status that Troth owns; ``status_patch`` turns them
into the merge patch, or into None when there is nothing to write. A time only changes together with the value that it
belongs to, so the same facts never cause a second write.
"""

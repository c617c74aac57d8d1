"""The processes that render, and how they are shared among requests.

Jinja does not bound the time or the memory of a template, so templates run in processes of their own. This package
starts, confines, calls and ends these processes, decides which job is next, and holds back jobs whose templates did not
end. What a worker computes is in the other packages.
"""

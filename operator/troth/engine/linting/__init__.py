"""What is wrong with what the templates of a Promise read, and with what they render.

Reading is bounded by a count of steps; rendering by whoever is asked to render. Both are here, so that the operator
says the same of a Promise that is applied as a command says of one that is being written. What the operator is told
(`engine.lint_report`) stands apart: it is kept in a status, which needs none of the rest.
"""

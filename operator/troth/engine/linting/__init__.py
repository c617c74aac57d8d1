"""What is wrong with what the templates of a Promise read, and with what they render.

Reading is bounded by a count of steps; rendering by whoever is asked to render. Both are here, so that the operator
says the same of a Promise that is applied as a command says of one that is being written. Imported is only what
travels: whoever renders needs none of the rest.
"""

from troth.engine.linting.report import LintError, LintReport

__all__ = ["LintError", "LintReport"]

"""What is wrong with what the templates of a Promise read, found without rendering anything.

Pure and bounded by a count of steps, so that the operator says the same of a Promise that is applied as a command says
of one that is being written.
"""

from troth.engine.linting.columns import check_columns
from troth.engine.linting.errors import LintError, LintReport, find_errors, lintable
from troth.engine.linting.paths import check_paths
from troth.engine.linting.remarks import CODES, Code, Remark, Severity

__all__ = [
    "CODES",
    "Code",
    "LintError",
    "LintReport",
    "Remark",
    "Severity",
    "check_columns",
    "check_paths",
    "find_errors",
    "lintable",
]

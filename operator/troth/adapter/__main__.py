"""The command line of the programs in a pipeline's pod: ``python -m troth.adapter`` and ``troth adapter``.

Arguments are read by the standard library. click, which reads those of all other commands, takes a third of the time
that a whole program may take here.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from troth.api import TrothError

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where Kubernetes puts it
_BUG: Final = 70  # as of every command
_LONGEST_LINE: Final = 4096  # as much as Kubernetes keeps of the last words of a container

_DESCRIPTION: Final = """\
The programs that run in the pod of a container pipeline, beside its containers. The operator starts them; nobody else
has to. They find the API server through KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and the object through
the variables KRATIX_…, as every container of a pipeline."""

_EPILOG: Final = """\
Examples:
  troth adapter reader
  troth adapter status-writer --namespace default

Exit codes:
  0  done
  1  the files of the containers cannot be used, or the API server refuses a call; one line says which and why
  2  an argument or a variable is missing or cannot be used
  70 a bug in Troth
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs one of the programs and returns its exit code. An error is one line on standard error."""
    options = _parser().parse_args(arguments)
    program: str = options.program
    try:
        for sentence in _run(program, options, environ):
            print(f"{program}: {_on_one_line(sentence)}", flush=True)
    except TrothError as error:
        _say(program, str(error))
        return 2 if _is_usage(error) else 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _say(program, f"{place}{error.strerror or error}")
        return 1
    except Exception as error:
        if environ.get("TROTH_DEBUG"):
            raise
        _say(
            program, f"this is a bug in troth: {type(error).__name__}: {error} ({_place(error)}); please report it"
        )
        return _BUG
    return 0


def _run(program: str, options: argparse.Namespace, environ: Mapping[str, str]) -> Iterator[str]:
    """Yields a sentence for each thing that was done, as soon as it was done."""
    # Each program imports what it needs: none of them needs all of it.
    from troth.adapter.server import open_server
    from troth.adapter.subject import read_subject

    subject = read_subject(environ)
    with open_server(environ, options.account_directory) as server:
        if program == "reader":
            from troth.adapter.reader import write_object

            yield write_object(server, subject, options.output_directory)
            return
        if subject.action == "configure":
            from troth.adapter.work_writing import write_work
            from troth.adapter.works import PipelineRun

            yield write_work(server, PipelineRun.of(subject, options.namespace), options.input_directory)
        from troth.adapter.status_writer import write_status

        yield write_status(
            server,
            subject,
            options.input_directory / "metadata",
            now=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            warn=lambda sentence: _say(program, f"warning: {sentence}"),
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="troth adapter",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    programs = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    reader = _add(programs, "reader", "Write the object to object.yaml.")
    reader.add_argument(
        "--output-directory", type=Path, default=Path("/kratix/input"), help="where object.yaml is written"
    )
    writer = _add(
        programs,
        "status-writer",
        "Make a Work from the containers' output, if they configure something, and write what they say into the "
        "object's status.",
    )
    writer.add_argument(
        "--input-directory",
        type=Path,
        default=Path("/work-creator-files"),
        help="with metadata and, for a Work, input (the output of the containers) and kratix-system",
    )
    writer.add_argument("--namespace", required=True, help="of the Work")
    return parser


def _add(
    programs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = programs.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.add_argument(
        "--account-directory", type=Path, default=_ACCOUNT, help="with the token of the account and ca.crt"
    )
    return parser


def _is_usage(error: TrothError) -> bool:
    from troth.adapter.server import NoAccount
    from troth.adapter.subject import InvalidEnvironment

    return isinstance(error, NoAccount | InvalidEnvironment)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def _say(program: str, sentence: str) -> None:
    print(f"{program}: {_on_one_line(sentence)}", file=sys.stderr, flush=True)


def _on_one_line(sentence: str) -> str:
    """Returns a sentence without line breaks and control characters, since it may quote what strangers wrote."""
    line = "".join(character if character.isprintable() else " " for character in sentence)
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

"""``headrace data suite``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from headrace.cli.data_files import add_data, open_table
from headrace.cli.parser import Parser, UsageError, add_json

DESCRIPTION = """\
Write a suite of checks that hold for a table, with room to spare: which columns there are, their types, missing
shares, ranges, categories, keys. Comments say how much room was left, and from what. Read it, mend it, keep it in
version control; `headrace data check DATA SUITE` runs it.

DATA may also be a profile that `headrace data profile DATA -o FILE` kept."""


def main(given: Sequence[str]) -> int:
    """Write a suite for a table."""
    parser = Parser("data suite", DESCRIPTION)
    add_data(parser, what="the table, or its profile (JSON)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it to this file, which must be new")
    parser.add_argument("--python", action="store_true", help="write Python instead of YAML")
    add_json(parser)
    arguments = parser.read(given)
    if arguments.output is not None and arguments.output.exists():
        raise UsageError(f"{str(arguments.output)!r} is there already", hint="name another file, or remove it")
    from headrace.steps.profiling import Profile, profile
    from headrace.steps.suite_inference import proposed, that_hold
    from headrace.steps.suites import plain_check

    if arguments.data.suffix == ".json" and arguments.data.is_file():
        suite, comments = proposed(Profile.from_json(arguments.data.read_bytes()))
    else:
        table = open_table(arguments.data)
        suite, comments = that_hold(*proposed(profile(table)), table)
    text = suite.to_python() if arguments.python else f"# {arguments.data}\n{suite.to_yaml(comments)}"
    if arguments.output is not None:
        from headrace.cli.data_profile import write_whole

        write_whole(arguments.output, text)
    if arguments.json:
        checks = [plain_check(check) for check in suite.checks]
        told = {"suite": str(arguments.output) if arguments.output else None, "checks": checks}
        print(json.dumps(told, indent=2, default=str))  # noqa: T201
    elif arguments.output is None:
        print(text, end="")  # noqa: T201
    else:
        print(f"wrote {arguments.output}: {len(suite.checks)} checks")  # noqa: T201
    return 0

"""``python -m headrace``: the command, by the interpreter that is to run it."""

import sys

from headrace.cli.main import main

sys.exit(main())

"""Start the campaign from the command line, wherever that is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from streams.campaign import main

sys.exit(main())

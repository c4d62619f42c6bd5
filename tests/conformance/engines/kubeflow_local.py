"""Carries out a compiled pipeline with `kfp.local`: FILE.yaml PIPELINE_ROOT PARAMETERS.json."""

import json
import sys
import warnings
from pathlib import Path

from kfp import components, local

warnings.simplefilter("ignore")  # of settings that only a cluster has
package, root, given = sys.argv[1:]
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, raise_on_error=False)
components.load_component_from_file(package)(**json.loads(Path(given).read_text()))

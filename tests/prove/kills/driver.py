"""Run a pipeline in the project's folder, as the JSON on the command line says; the last line says how it went."""

from __future__ import annotations

import json
import sys

import headrace


def main(target: str, store: str, inline: bool, parameters: dict[str, object]) -> int:
    result = headrace.run(target, parameters, store=store, workers=2, inline=inline)
    nodes = {
        name: {
            "outcome": node.outcome.value,
            "message": node.failure.message if node.failure else "",
            "digests": {output: artifact.digest for output, artifact in node.outputs.items()},
        }
        for name, node in result.nodes.items()
    }
    print("\n" + json.dumps({"run": result.run_id, "outcome": result.outcome.value, "nodes": nodes}))
    return 0 if result.outcome.value == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))

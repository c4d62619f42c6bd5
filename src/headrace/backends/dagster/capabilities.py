"""How Dagster has each feature."""

from __future__ import annotations

from headrace.backends.capabilities import Capabilities, Feature, inside, native, refused

CAPABILITIES: Capabilities = {
    Feature.PARAMETERS: native("the config of the op begin, typed"),
    Feature.SEVERAL_OUTPUTS: native("an asset for each"),
    Feature.NESTED_PIPELINE: native("asset groups and key prefixes"),
    Feature.CONDITION: native(
        "what comes after a skipped node is skipped; the node itself is a success that made nothing"
    ),
    Feature.MAP: inside("the items are carried out in one op"),
    Feature.NESTED_MAP: inside("the items are carried out in one op"),
    Feature.GATE: native("an asset check, and the op finish fails"),
    Feature.CACHE: inside("a hit is a materialization that says cached, with the same data version"),
    Feature.RETRY: inside("exec tries again; the op's log tells"),
    Feature.LOST_WORKER: native("the op's retry policy"),
    Feature.TIME_LIMIT: inside("exec ends the step"),
    Feature.CPUS: native("op tags, which the Kubernetes executor reads", is_verified=False),
    Feature.MEMORY: native("op tags, which the Kubernetes executor reads", is_verified=False),
    Feature.SECRET: inside("from the environment of the code location, given to exec alone"),
    Feature.SCHEDULE: native("a schedule"),
    Feature.TIMEZONE: native("the schedule's and the partitions' time zone"),
    Feature.DATE: native("partitions"),
    Feature.BACKFILL: native("a back-fill over partitions"),
    Feature.DEPENDS_ON_PAST: refused("Dagster has no rule by which a run waits for the one of the date before"),
    Feature.MAX_ACTIVE_RUNS: refused("Dagster limits runs by the instance's settings, not by a pipeline's"),
    Feature.RESUME: native("re-execution from failure, or a new run"),
    Feature.CANCEL: native("a terminated run ends its steps"),
    Feature.ARTIFACTS: native("an asset for each, with its digest as its data version"),
    Feature.TRIGGERS: native(
        "asset sensors and automation conditions of other definitions see each asset", is_verified=False
    ),
    Feature.LINKS: native("the run is an asset, whose metadata name the report"),
    Feature.IMAGE: refused("ops start the project's interpreter beside the code location; put that into an image"),
    Feature.SUBMIT: native("an entry in workspace.yaml, and the webserver loads it"),
}

"""A backend of another package: one JSON file, and tasks in the plan's order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.backends.capabilities import Capabilities, Feature, inside, native, refused
from headrace.backends.deployment import BackendError, Deployment, read_settings

CAPABILITIES: Capabilities = {
    **dict.fromkeys(Feature, native("it just does")),
    Feature.MAP: inside("in one task"),
    Feature.DEPENDS_ON_PAST: refused("it knows no past"),
    Feature.MEMORY: refused("it has no memory"),
}


@dataclass(frozen=True)
class Settings:
    owner: str = "nobody"
    tags: tuple[str, ...] = ()


class Plain:
    name = "plain"
    capabilities = CAPABILITIES

    def files(self, deployment: Deployment) -> Mapping[str, str]:
        settings = read_settings(Settings, deployment, self.name)
        document = {
            "heading": deployment.heading(),
            "owner": settings.owner,
            "tags": settings.tags,
            "command": deployment.command,
            "pipeline": deployment.pipeline,
            "project": deployment.project,
            "store": deployment.store,
            "shape": deployment.shape,
            "secrets": deployment.secrets,
            "description": deployment.description,
            "fields": {field.name: [field.schema, field.default, field.is_required] for field in deployment.fields},
            "tasks": ["begin", *[node.id for node in deployment.plan.nodes], "finish"],
        }
        return {f"{deployment.plan.pipeline}.json": json.dumps(document, indent=2)}

    def complete(self, deployment: Deployment, folder: Path) -> Iterator[str]:
        return iter(())

    def submit(self, deployment: Deployment, folder: Path, place: str | None) -> Iterator[str]:
        if place is None:
            raise BackendError("There is nowhere to put it", hint="--to names a folder")
        yield f"put into {place}"

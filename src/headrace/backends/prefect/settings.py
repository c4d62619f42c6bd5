"""What can be set for Prefect, in ``[tool.headrace.backends.prefect]`` or with ``--set``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """How a pipeline is deployed on Prefect.

    Attributes
    ----------
    work_pool
        The work pool whose workers start the flow.
    deployment
        The deployment's name; the pipeline's by default.
    tags
        Tags of the deployment and of its runs.
    task_tags
        Tags of each task that executes a node: Prefect's limits for tags hold for them.
    lost_retries
        How often Prefect starts a task again whose process was killed.
    cpus
        How many cpus' worth of nodes one run executes at once; those of the worker's machine by default.
    memory_bytes
        The memory that nodes of one run may have declared together; that of the worker's machine by default.
    cpus_limit
        A global concurrency limit of Prefect, of which each node takes as many slots as it has cpus.
    secret_blocks
        By a secret's name the Prefect ``Secret`` block that holds it; others are taken from the flow's environment.
    links
        By their text, links that each run shows; ``{run}`` in them becomes the run's id.
    prefect
        The command by which ``--submit`` calls Prefect's own ``prefect``.
    """

    work_pool: str = "default"
    deployment: str | None = None
    tags: tuple[str, ...] = ()
    task_tags: tuple[str, ...] = ()
    lost_retries: int = 2
    cpus: int | None = None
    memory_bytes: int | None = None
    cpus_limit: str | None = None
    secret_blocks: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    prefect: str = "prefect"

"""A plan's schedule and dates, as partitions and a schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.backends.source import Call, Code, assigned, call, literal, quoted

if TYPE_CHECKING:
    from headrace.backends.dagster.settings import Settings
    from headrace.core.plan import Plan

DAY = "%Y-%m-%d"
TIME = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Timing:
    """When runs are due, and what they are for.

    A partition is a date that a run is for: the day on which the schedule is due, or for a pipeline whose date is a
    time, that time. So it is there when it begins, and not, as Dagster has it, when it is over: ``end_offset=1``.
    """

    cron: str | None
    zone: str
    is_partitioned: bool
    has_times: bool

    @classmethod
    def of(cls, plan: Plan) -> Timing:
        """Read a plan's."""
        declared = next((spec.type for spec in plan.parameters if spec.name == plan.date), "")
        return cls(plan.schedule, plan.timezone or "UTC", plan.date is not None, "datetime.datetime" in declared)

    @property
    def form(self) -> str:
        """How a partition's key is written."""
        return TIME if self.has_times else DAY

    @property
    def partition_cron(self) -> str:
        """When partitions begin: at midnight of the days of the schedule, or at its times."""
        if self.has_times:
            return self.cron or "0 0 * * *"
        return f"0 0 {' '.join((self.cron or '0 0 * * *').split()[2:])}"

    def partitions(self, settings: Settings) -> Call | None:
        """The partitions; None for a pipeline whose runs are for no dates."""
        if not self.is_partitioned:
            return None
        return call(
            "dg.TimeWindowPartitionsDefinition",
            start=settings.start.strftime(self.form),
            fmt=self.form,
            cron_schedule=self.partition_cron,
            timezone=self.zone,
            end_offset=1,
        )

    def schedule_lines(self, name: str, settings: Settings) -> Iterator[str]:
        """The schedule, called ``due`` in the file; nothing without one."""
        if self.cron is None:
            return
        schedule = call(
            "dg.schedule" if self.is_partitioned else "dg.ScheduleDefinition",
            name=name,
            job=Code("job"),
            cron_schedule=self.cron,
            execution_timezone=self.zone,
            default_status=Code(f"dg.DefaultScheduleStatus.{'RUNNING' if settings.schedule else 'STOPPED'}"),
        )
        if not self.is_partitioned:
            yield assigned("due", schedule)
            return
        yield from ("", "")
        yield literal(schedule, before="@")
        yield "def due(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:"
        yield '    """Ask for the run of the date that is due."""'
        yield f"    return dg.RunRequest(partition_key=context.scheduled_execution_time.strftime({quoted(self.form)}))"
        yield from ("", "")

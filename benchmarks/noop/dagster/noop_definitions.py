"""Ten tasks, one after another, each of which starts a Python that does nothing."""

import subprocess

import dagster as dg

PYTHON = "@PYTHON@"
N_TASKS = 10
PRELOADED = ["dagster", "dagster._cli", "dagster._core.storage.sqlite_storage"]


def task(number: int) -> dg.OpDefinition:
    """One task: an op."""
    waits = {"before": dg.In(dg.Nothing)} if number else {}

    @dg.op(name=f"task_{number}", ins=waits, out=dg.Out(dg.Nothing), tags={"headrace/node": f"task-{number}"})
    def start(context: dg.OpExecutionContext) -> None:
        subprocess.run([PYTHON, "-c", "@CODE@"], check=True)

    return start


@dg.job(
    executor_def=dg.multiprocess_executor.configured({"start_method": {"forkserver": {"preload_modules": PRELOADED}}})
)
def noop_job() -> None:
    """A chain of them."""
    ended = task(0)()
    for number in range(1, N_TASKS):
        ended = task(number)(before=ended)


defs = dg.Definitions(jobs=[noop_job])

"""Ten tasks in a chain, each of which starts a Python that does nothing: what Prefect costs by itself."""

import subprocess

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner


def start_python(before: int) -> int:
    subprocess.run(["@PYTHON@", "-c", "@CODE@"], check=True)
    return before + 1


@flow(name="noop", task_runner=ThreadPoolTaskRunner(), persist_result=False)
def noop() -> None:
    last = 0
    for number in range(10):
        name = f"task-{number}"
        last = task(start_python, name=name, task_run_name=name, cache_policy=NO_CACHE).submit(last)
    last.wait()


if __name__ == "__main__":
    noop()

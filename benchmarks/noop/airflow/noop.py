"""Ten tasks, one after another, each of which starts a Python that does nothing."""

import subprocess

from airflow.sdk import DAG, BaseOperator


class Noop(BaseOperator):
    def execute(self, context):
        subprocess.run(["@PYTHON@", "-c", "@CODE@"], check=True)


with DAG("noop", schedule=None):
    last = None
    for number in range(10):
        task = Noop(task_id=f"task-{number}")
        if last is not None:
            last >> task
        last = task

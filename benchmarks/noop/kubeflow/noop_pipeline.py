"""Ten tasks in a chain, each of which starts a Python that does nothing: what kfp.local costs by itself."""

import pathlib

from kfp import compiler, dsl


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def noop() -> str:
    import subprocess

    subprocess.run(["@PYTHON@", "-c", "@CODE@"], check=True)
    return "done"


@dsl.pipeline(name="chain")
def chain():
    last = noop().set_caching_options(False)
    for _ in range(9):
        last = noop().after(last).set_caching_options(False)


if __name__ == "__main__":
    compiler.Compiler().compile(chain, str(pathlib.Path(__file__).with_suffix(".yaml")))

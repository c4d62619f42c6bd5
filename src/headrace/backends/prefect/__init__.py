"""Prefect 3: a flow file, and the ``prefect.yaml`` that deploys it."""

"""Kubeflow Pipelines 2: a Python file that defines the pipeline by its SDK, and the YAML that the SDK makes of it."""

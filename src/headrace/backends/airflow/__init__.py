"""Airflow 3: a plan as a DAG file of the Task SDK."""

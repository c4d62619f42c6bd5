"""Argo Workflows: a plan as a WorkflowTemplate, a Workflow of it and a CronWorkflow. Linted, not executed on Argo."""

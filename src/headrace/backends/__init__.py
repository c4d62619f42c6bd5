"""Where a plan can be carried out: each backend turns a plan into an orchestrator's own files, and decides nothing."""

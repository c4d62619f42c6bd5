"""The design itself: steps, pipelines, plans, values, fingerprints, keys. Standard library only."""

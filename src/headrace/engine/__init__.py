"""Execute one node; schedule a plan; workers, retries, events, and what a run leaves behind."""

"""Exactly once: runs that read Kafka and Redis are killed at random, while messages go on coming."""

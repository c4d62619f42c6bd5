"""The ready-made steps, one stage a file."""

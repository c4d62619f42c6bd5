"""Trackers and listeners, each an extra."""

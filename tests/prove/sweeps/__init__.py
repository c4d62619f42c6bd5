"""Cleaning up beside writers that come and go and are killed: nothing that is named is lost, and the rest goes."""

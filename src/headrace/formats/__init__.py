"""How a Python value becomes an artifact's files, and back. One format a file."""

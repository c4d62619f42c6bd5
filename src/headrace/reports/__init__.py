"""A run's pages: self-contained HTML."""

"""Where objects, actions and runs are kept."""

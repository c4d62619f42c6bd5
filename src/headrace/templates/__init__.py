"""New projects: what a table of the user's own is like, what is proposed for it, and the files that are written."""

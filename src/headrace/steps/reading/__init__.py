"""Reading files of rows: what a file really is, its rows as text, and what its columns hold."""

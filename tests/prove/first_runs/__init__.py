"""`headrace init` on real files, and the first run of what it makes."""

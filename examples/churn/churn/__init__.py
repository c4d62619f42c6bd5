"""Which customers will leave? A whole pipeline, from a raw customer file to a registered, packaged model."""

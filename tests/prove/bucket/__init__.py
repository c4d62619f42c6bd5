"""An object store under fire: a real S3 API on loopback, with a troublesome network in front of it."""

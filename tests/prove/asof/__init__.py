"""Point-in-time joins and online stores against a brute-force oracle, on generated histories."""

"""Kill the engine, a worker or both at chosen instants, and look at what is left.

``python tests/prove/kills --seed 7 --instants 240`` does it all; ``tests/prove/test_kills.py`` does a seeded slice.
"""

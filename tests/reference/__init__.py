"""Comparisons with vectors that PyTorch made: cases.py lists them, make_vectors.py makes them, the tests read them."""

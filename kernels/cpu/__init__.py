"""NumPy implementations of the instruction set, one file per family."""

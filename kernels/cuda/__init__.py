"""CuPy and CUDA C++ implementations of the instruction set, one file per family; imported on first need."""

"""The public test suite of the array API standard, run on tensors; see ``__main__.py``."""

"""Everything that needs a real GPU, in one command: ``python -m tests.gpu_report --out DIR``."""

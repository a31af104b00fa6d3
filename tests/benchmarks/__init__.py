"""Benchmarks against PyTorch: ``python -m tests.benchmarks``."""

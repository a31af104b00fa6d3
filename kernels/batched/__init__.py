"""The instruction set over a batch: what every kernel does for many samples at once. `tg.func.vmap` is built on it.

Beside NumPy's and CuPy's arrays there is a third kind, `BatchedArray`: one array per sample, stored as one array with
an axis more, that looks like a single sample. A launch on such arrays comes here, by the type of the arrays as for the
other backends, and is made of launches on the whole. Ops, gradient rules and the engine see samples only.

Which way it goes is read off the kernel's declaration: elementwise kernels broadcast, those with ``axis`` have it moved
by one, those of stacks of matrices take one more axis. Only what needs more than that has a rule of its own, under the
kernel's name in the file of its family here. A kernel without any runs once per sample.
"""

"""Switches that kernels read and programs set through ``tg.backends``; here, so that setting one imports no CuPy."""

allow_tf32 = False
"""Whether float32 matrix products on CUDA may round their operands to 10 bits of mantissa, for more speed."""

cudnn_enabled = True
"""Whether convolution and attention on CUDA ask cuDNN first, where it is installed."""

cudnn_allow_tf32 = False
"""As `allow_tf32`, for convolutions by cuDNN."""

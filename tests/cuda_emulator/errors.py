"""The exceptions of the emulator and its stand-ins for CuPy's."""

from __future__ import annotations

_STATUS_NAMES = {
    1: ("cudaErrorInvalidValue", "invalid argument"),
    2: ("cudaErrorMemoryAllocation", "out of memory"),
    101: ("cudaErrorInvalidDevice", "invalid device ordinal"),
    400: ("cudaErrorInvalidResourceHandle", "invalid resource handle"),
    600: ("cudaErrorNotReady", "device not ready"),
    900: (
        "cudaErrorStreamCaptureUnsupported",
        "operation not permitted when stream is capturing",
    ),
    901: ("cudaErrorStreamCaptureInvalidated", "operation failed due to a previous error"),
    904: ("cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"),
    905: (
        "cudaErrorStreamCaptureIsolation",
        "dependency created on uncaptured work in another stream",
    ),
    906: (
        "cudaErrorStreamCaptureImplicit",
        "operation would make the legacy stream depend on a capturing blocking stream",
    ),
}


class EmulatorError(RuntimeError):
    """A fault that a device would not report, or only as a wrong result.

    Races, out-of-bounds accesses, reads of unwritten memory, barriers that threads miss, work on
    two streams without an order: whatever the emulator knows to be wrong in the program under test.
    """


class CUDARuntimeError(RuntimeError):
    """An error of the CUDA runtime, as CuPy raises it."""

    def __init__(self, status: int) -> None:
        self.status = status
        name, text = _STATUS_NAMES.get(status, (f"cudaError({status})", "unknown error"))
        super().__init__(f"{name}: {text}")


class CUDADriverError(RuntimeError):
    """An error of the CUDA driver, as CuPy raises it on launches and look-ups."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")


class OutOfMemoryError(MemoryError):
    """The memory limit of a pool, or of the emulated device, is reached."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        text = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(text + (f", limit set to: {limit:,} bytes)." if limit else ")."))


class CompileException(Exception):  # noqa: N818 - CuPy's name
    """A kernel does not compile; the text is the compiler's."""

    def __init__(self, message: str, source: str, name: str, options: tuple[str, ...]) -> None:
        super().__init__(message)
        self._message = message
        self.source = source
        self.name = name
        self.options = options

    def get_message(self) -> str:
        """Return what the compiler printed."""
        return self._message

    def __str__(self) -> str:
        return self._message

"""Compiles kernels and the emulator's runtime with the host's C++ compiler, through a cache.

Every result is named by a hash of all that went into it and moved into place when it is complete,
so that several processes may share the cache directory and compile at the same time.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import CompileException

_HERE = Path(__file__).resolve().parent
INCLUDE = _HERE / "include"
_RUNTIME = _HERE / "runtime"
_STANDARDS = {"c++11", "c++14", "c++17", "c++20"}
_CHECKS = (
    "-fsanitize=thread",
    "--param=tsan-instrument-func-entry-exit=0",
    "-fsanitize=alignment,bounds,integer-divide-by-zero",
)


def compiler() -> str:
    """Return the host's C++ compiler, ``$CXX`` or g++."""
    found = shutil.which(os.environ.get("CXX", "g++"))
    if found is None:
        raise RuntimeError("the CUDA emulator needs g++ (or the compiler that $CXX names)")
    return found


@functools.cache
def cache_directory() -> Path:
    """Return the directory of compiled objects, ``$TENSORGRAD_EMULATOR_CACHE`` if that is set."""
    configured = os.environ.get("TENSORGRAD_EMULATOR_CACHE")
    if configured:
        path = Path(configured)
    else:
        path = Path(tempfile.gettempdir()) / f"tensorgrad-cuda-emulator-{getpass.getuser()}"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path.resolve()


@functools.cache
def _toolchain_hash() -> str:
    digest = hashlib.sha256()
    version = subprocess.run([compiler(), "-v"], capture_output=True, text=True, check=True)
    digest.update(version.stderr.encode())
    for path in sorted([*INCLUDE.rglob("*"), *_RUNTIME.rglob("*")]):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()


def _hash(*parts: str) -> str:
    text = "\0".join((_toolchain_hash(), *parts))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _build(target: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that writes to ``-o``, and move what it wrote to `target`."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=target.suffix)
    os.close(handle)
    try:
        done = _run([*command, "-o", temporary])
        if done.returncode == 0:
            os.replace(temporary, target)
        return done
    finally:
        Path(temporary).unlink(missing_ok=True)


@functools.cache
def runtime_library() -> Path:
    """Return the shared library with the scheduler and the memory checker."""
    target = cache_directory() / f"runtime-{_hash('runtime')}.so"
    if not target.exists():
        sources = [str(path) for path in sorted(_RUNTIME.glob("*.cpp"))]
        command = [compiler(), "-std=c++20", "-O2", "-fPIC", "-shared", f"-I{INCLUDE}",
                   f"-Wl,-soname,{target.name}", *sources]  # fmt: skip
        done = _build(target, command)
        if done.returncode:
            raise RuntimeError(f"the emulator's runtime does not compile:\n{done.stderr}")
    return target


def _flags(check_memory: bool) -> tuple[str, ...]:
    common = ("-std=gnu++20", "-O2", "-fno-tree-vectorize", "-g1", "-fPIC", "-fvisibility=hidden",
              "-fno-gnu-unique", "-fno-strict-aliasing", "-w")  # fmt: skip
    return (*common, *_CHECKS) if check_memory else common


@functools.cache
def _precompiled_header(check_memory: bool) -> Path:
    """Return a directory with the precompiled shim, to be searched before the sources."""
    flags = _flags(check_memory)
    directory = cache_directory() / f"shim-{_hash('shim', *flags)}"
    target = directory / "cuda_shim.h.gch"
    if not target.exists():
        directory.mkdir(exist_ok=True)
        header = str(INCLUDE / "cuda_shim.h")
        done = _build(target, [compiler(), *flags, f"-I{INCLUDE}", "-x", "c++-header", header])
        if done.returncode:
            raise RuntimeError(f"the emulator's shim does not compile:\n{done.stderr}")
    return directory


def check_options(options: Iterable[str]) -> tuple[str, ...]:
    """Return the options that mean something to the host compiler, and refuse unknown standards.

    NVRTC's other options steer code generation for a device and have no meaning here.
    """
    kept = []
    for option in options:
        if option.startswith(("-D", "-U", "-I")):
            kept.append(option)
        elif option.startswith(("--define-macro=", "--include-path=", "--undefine-macro=")):
            name, value = option.split("=", 1)
            kept.append({"--define-macro": "-D", "--include-path": "-I"}.get(name, "-U") + value)
        elif option.startswith(("-std=", "--std=")) and option.split("=")[1] not in _STANDARDS:
            raise CompileException(f"unknown option: {option}", "", "", tuple(options))
    return tuple(kept)


def compile_module(source: str, options: tuple[str, ...], check_memory: bool) -> Path:
    """Compile a prepared source to a shared library; raise `CompileException` if it fails."""
    flags = (*_flags(check_memory), *options)
    target = cache_directory() / f"kernel-{_hash('kernel', source, *flags)}.so"
    if target.exists():
        return target
    runtime = runtime_library()
    shim = _precompiled_header(check_memory)
    with tempfile.TemporaryDirectory(dir=cache_directory()) as scratch:
        code = Path(scratch) / "kernel.cu"
        code.write_text(source)
        compiled = str(Path(scratch) / "kernel.o")
        # Only the compiling driver sees the sanitizer flags: linking with them would bring in the
        # sanitizer's own runtime.
        headers = (f"-I{shim}", f"-I{INCLUDE}", "-include", "cuda_shim.h")
        done = _run([compiler(), *flags, *headers, "-x", "c++", "-c", str(code), "-o", compiled])
        if done.returncode == 0:
            link = ("-shared", "-nostartfiles", "-Wl,-rpath,$ORIGIN", "-Wl,--no-undefined")
            done = _build(target, [compiler(), *link, compiled, str(runtime), "-lm", "-lc"])
        if done.returncode:
            raise CompileException(done.stderr.replace(scratch + os.sep, ""), source, "", options)
    return target

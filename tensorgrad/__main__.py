"""``python -m tensorgrad``: versions, devices, what computes what, and what is missing. For bug reports.

Nothing here fails: a question that cannot be answered says why, and the exit status is 0.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .cuda import diagnosis
from .cuda.diagnosis import answer, installed

__all__ = ["main", "report"]

_OPTIONAL = {
    # module: (distributions, what it is for, what installs it)
    "ml_dtypes": (("ml_dtypes",), "bfloat16", "tensorgrad-cupy[io]"),
    "safetensors": (("safetensors",), "tg.save and tg.load", "tensorgrad-cupy[io]"),
    "mpi4py": (("mpi4py",), "several processes", "tensorgrad-cupy[mpi]"),
}


def _blas() -> str:
    """The library that NumPy multiplies matrices with, and its threads."""
    build = np.show_config(mode="dicts")
    found = build["Build Dependencies"]["blas"]
    name = f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()
    return f"{name}, {answer(_blas_threads)} threads"


def _blas_threads() -> int:
    """What OpenBLAS says, else what the environment asks for, else the number of cores."""
    for path in _loaded_libraries():
        if "openblas" not in path.name:
            continue
        library = ctypes.CDLL(str(path))
        for prefix in ("scipy_", ""):
            for suffix in ("64_", ""):
                function = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
                if function is not None:
                    return int(function())
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(variable, "").isdigit():
            return int(os.environ[variable])
    return os.cpu_count() or 1


def _loaded_libraries() -> list[Path]:
    """Shared libraries that came with NumPy."""
    package = Path(np.__file__).parent
    return [p for folder in (package.parent / "numpy.libs", package / ".dylibs") for p in sorted(folder.glob("*blas*"))]


def _versions() -> dict[str, str]:
    return {
        "tensorgrad": answer(lambda: f"{importlib.import_module('tensorgrad').__version__} ({Path(__file__).parent})"),
        "Python": answer(lambda: f"{platform.python_version()} on {platform.platform()}"),
        "NumPy": answer(lambda: np.__version__),
        "BLAS": answer(_blas),
        **_section(diagnosis.cuda_versions),
        **{module: answer(functools.partial(installed, module, *names)) for module, (names, _, _) in _OPTIONAL.items()},
    }


def _section(make: Callable[[], Mapping[str, str]]) -> dict[str, str]:
    """The lines of a section, or one that says why there are none."""
    try:
        return dict(make())
    except (Exception, SystemExit) as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _missing() -> list[str]:
    lines = []
    for module, (_, purpose, wanted) in _OPTIONAL.items():
        with contextlib.suppress(Exception):
            if importlib.util.find_spec(module) is None:
                lines.append(f'{module}, for {purpose}: pip install "{wanted}"')
    try:
        lines += diagnosis.problems()
    except (Exception, SystemExit) as error:
        lines.append(f"could not be checked: {type(error).__name__}: {error}")
    return lines


def report() -> str:
    """The text that ``python -m tensorgrad`` prints."""
    lines: list[str] = []
    sections: dict[str, Callable[[], Mapping[str, str]]] = {
        "versions": _versions,
        "devices": diagnosis.device_lines,
        "computed on a GPU by": diagnosis.implementations,
    }
    for title, make in sections.items():
        entries = _section(make)
        width = max(map(len, entries), default=0)
        lines += [title, *(f"  {name:<{width}}  {text}" for name, text in entries.items()), ""]
    missing = _missing()
    lines += ["missing or not fitting together", *(f"  - {line}" for line in missing or ["nothing"])]
    return "\n".join(lines)


def main() -> int:
    """Print the report; always 0."""
    print(report())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The package as users get it: from the sdist, from the wheel and as an editable install, used outside the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg

_ROOT = Path(__file__).resolve().parent.parent
_SHIPPED = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE", "tensorgrad", "kernels")

# One training step, and where everything came from.
_PROGRAM = """
import importlib.util, pathlib, sys
import tensorgrad as tg, tensorgrad.kernels, tensorgrad.kernels.cpu
assert importlib.util.find_spec("kernels") is None, "a package named plainly kernels is importable"
tg.manual_seed(0)
model = tg.nn.Sequential(tg.nn.Linear(4, 8), tg.nn.ReLU(), tg.nn.Linear(8, 3))
optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
x, y = tg.randn(16, 4), tg.arange(16) % 3
losses = []
for _ in range(2):
    optimizer.zero_grad()
    loss = tg.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[1] < losses[0], losses
print(tg.__version__, tg.__file__, tg.kernels.__file__, sep="\\n")
"""


def _project() -> dict[str, object]:
    return tomllib.loads((_ROOT / "pyproject.toml").read_text())


def test_version_is_written_once():
    project = _project()
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tensorgrad.__version__"}
    assert importlib.metadata.version("tensorgrad-cupy") == tg.__version__
    assert f"## [{tg.__version__}]" in (_ROOT / "CHANGELOG.md").read_text()


def test_every_package_is_listed():
    found = set()
    for directory, prefix in (("tensorgrad", "tensorgrad"), ("kernels", "tensorgrad.kernels")):
        for init in (_ROOT / directory).rglob("__init__.py"):
            found.add(".".join((prefix, *init.parent.relative_to(_ROOT / directory).parts)))
    assert set(_project()["tool"]["setuptools"]["packages"]) == found


# ------------------------------------------------------------------------------------------------------------- installs
@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is shipped, so that building leaves nothing behind in the checkout."""
    copy = tmp_path_factory.mktemp("tree") / "checkout"
    copy.mkdir()
    for name in _SHIPPED:
        source = _ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


@pytest.fixture(scope="module")
def distributions(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel made from it."""
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The Python of a fresh virtual environment that borrows this one's NumPy but not its tensorgrad."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=os.name != "nt")
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # A path in a .pth file is searched last, and .pth files that lie there (an editable tensorgrad) are not read.
    (_site_packages(python) / "borrowed.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    return python


def _site_packages(python: Path) -> Path:
    return Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def _run(*command: object, cwd: Path | None = None) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TENSORGRAD", "COV"))}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _install(python: Path, *what: object) -> None:
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    _run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what)


def _trained_in(python: Path, directory: Path) -> tuple[str, Path, Path]:
    """Train a step away from any checkout; the version, and the files of tensorgrad and of its kernels."""
    version, package, kernels = _run(python, "-c", _PROGRAM, cwd=directory).split("\n")[:3]
    return version, Path(package).resolve(), Path(kernels).resolve()


@pytest.mark.slow
def test_distributions_hold_what_is_needed(distributions: tuple[Path, Path]):
    sdist, wheel = distributions
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {f"tensorgrad/{p.relative_to(_ROOT)}" for p in (_ROOT / "kernels").rglob("*.cu*")}
    assert sources
    assert sources <= names
    assert {"tensorgrad/py.typed", "tensorgrad/kernels/py.typed", "tensorgrad/kernels/__init__.py"} <= names
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"tensorgrad"}
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in names)
    with tarfile.open(sdist) as archive:
        shipped = {n.partition("/")[2] for n in archive.getnames()}
    assert {n.removeprefix("tensorgrad/") for n in sources} <= shipped
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "kernels/py.typed"} <= shipped


@pytest.mark.slow
def test_wheel_works(distributions: tuple[Path, Path], environment: Path, tmp_path: Path):
    _install(environment, distributions[1])
    site = _site_packages(environment).resolve()
    version, package, kernels = _trained_in(environment, tmp_path)
    assert version == tg.__version__
    assert package == site / "tensorgrad" / "__init__.py"
    assert kernels == site / "tensorgrad" / "kernels" / "__init__.py"
    assert not (site / "kernels").exists()


@pytest.mark.slow
def test_sdist_installs(distributions: tuple[Path, Path], environment: Path, tmp_path: Path):
    _install(environment, distributions[0])
    site = _site_packages(environment).resolve()
    assert _trained_in(environment, tmp_path)[2] == site / "tensorgrad" / "kernels" / "__init__.py"


@pytest.mark.slow
def test_editable_install_works(tree: Path, environment: Path, tmp_path: Path):
    _install(environment, "--editable", tree)
    version, package, kernels = _trained_in(environment, tmp_path)
    assert version == tg.__version__
    assert package == tree.resolve() / "tensorgrad" / "__init__.py"
    assert kernels == tree.resolve() / "kernels" / "__init__.py"
    assert not (_site_packages(environment) / "kernels").exists()


@pytest.mark.slow
def test_a_strictly_typed_program_finds_the_names_it_uses(tree: Path, tmp_path: Path):
    pytest.importorskip("mypy")
    site = tmp_path / "site"
    shutil.copytree(tree / "tensorgrad", site / "tensorgrad")
    shutil.copytree(tree / "kernels", site / "tensorgrad" / "kernels")
    program = shutil.copy(_ROOT / "tests" / "typed_program.py", tmp_path)
    options = ("--strict", "--follow-imports=silent", "--cache-dir", tmp_path / "cache")
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nmypy_path = {site}\n")
    _run(sys.executable, "-m", "mypy", *options, "--config-file", tmp_path / "mypy.ini", program, cwd=tmp_path)

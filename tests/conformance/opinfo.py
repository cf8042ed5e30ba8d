"""torch's own sample inputs, run through ours: each sample passes, fails, or is not supported, for a reason that a rule tells."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinytorch as tt
from tests.conformance.compare import TOLERANCE
from tests.conformance.operations import torch
from tests.conformance.samples import ADAPTERS, Adapter

DTYPES = ("float32", "float64", "int64", "bool")    # tried; complex numbers are counted, and no others exist in this course's sense
COMPLEX = "complex numbers"


@dataclass
class Row:
    """What became of the samples of one of torch's operations."""

    name: str
    operation: str
    passed: int = 0
    missing: Counter[str] = field(default_factory=Counter)          # reason -> how many samples are not supported
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"torch": self.name, "ours": self.operation, "pass": self.passed, "fail": len(self.failed), "failures": self.failed,
                "not supported": dict(self.missing)}


def full_name(info: Any) -> str:
    return f"{info.name}.{info.variant_test_name}" if info.variant_test_name else str(info.name)


def ledger(names: Collection[str] = ()) -> list[Row]:
    """A row for each adapter (or for those named): every sample of torch's, in every dtype that ours has too."""
    from torch.testing._internal.common_methods_invocations import op_db  # slow to import, and it needs `expecttest`
    known = {full_name(info): info for info in op_db}
    return [row_of(name, known[name], adapter) for name, adapter in ADAPTERS.items() if not names or name in names]


def row_of(name: str, info: Any, adapter: Adapter) -> Row:
    row = Row(name, adapter.operation)
    if torch.complex64 in info.dtypes:
        row.missing[COMPLEX] += sum(1 for _ in samples_of(info, torch.complex64))
    for dtype in DTYPES:
        if getattr(torch, dtype) in info.dtypes:
            for sample in samples_of(info, getattr(torch, dtype)):
                judge(row, info, adapter, sample, dtype)
    return row


def samples_of(info: Any, dtype: Any) -> Iterator[Any]:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from info.sample_inputs("cpu", dtype, requires_grad=info.supports_autograd and dtype.is_floating_point)


def judge(row: Row, info: Any, adapter: Adapter, sample: Any, dtype: str) -> None:
    """Count one sample."""
    if reason := unsupported(adapter, sample):
        row.missing[reason] += 1
        return
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            agree(info, adapter, sample)
        row.passed += 1
    except Exception as error:                      # whatever it is, it is a failure, and is shown
        row.failed.append(f"{dtype} {sample.summary()}: {type(error).__name__}: {error}")


def unsupported(adapter: Adapter, sample: Any) -> str | None:
    """The reason why ours cannot take this sample, by the adapter's rules alone; None where it must pass."""
    names = adapter.names.split()
    given = dict(zip(names, (sample.input, *sample.args), strict=False)) | sample.kwargs
    for name, value in sample.kwargs.items():
        if name not in names and not (name in adapter.ignored and adapter.ignored[name] == value):
            return f"keyword {name}"
    return next((reason for reason, rule in adapter.lacks.items() if rule(given)), None)


def converted(value: Any, leaves: list[tuple[Any, Any]]) -> Any:
    """A sample's value for ours; each pair (ours, torch's) of tensors with a gradient is added to `leaves`."""
    if isinstance(value, torch.Tensor):
        mine = tt.Tensor(value.detach().numpy(), requires_grad=value.requires_grad, dtype=value.detach().numpy().dtype)
        if value.requires_grad:
            leaves.append((mine, value))
        return mine
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v, leaves) for v in value) if type(value) in (list, tuple) else tuple(value)
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value


def agree(info: Any, adapter: Adapter, sample: Any) -> None:
    """AssertionError where value, shape, dtype or a gradient of ours is not torch's."""
    leaves: list[tuple[Any, Any]] = []
    want = info(sample.input, *sample.args, **sample.kwargs)
    inputs = [converted(value, leaves) for value in (sample.input, *sample.args)]
    settings = {name: converted(value, leaves) for name, value in sample.kwargs.items() if name not in adapter.ignored}
    got = adapter.call(*inputs, **settings)
    close(got.numpy(), want.detach().numpy(), "value")
    if not (leaves and want.requires_grad and want.numel()):
        return
    weights = np.random.default_rng(0).uniform(0.5, 1.5, got.shape).astype(got.dtype)
    got.backward(weights)
    slopes = torch.autograd.grad(want, [theirs for _, theirs in leaves], torch.tensor(weights), allow_unused=True)
    for (mine, _), slope in zip(leaves, slopes):
        if slope is not None:
            assert mine.grad is not None, "a gradient is missing"
            close(mine.grad.numpy(), slope.numpy(), "gradient")


def close(got: np.ndarray, want: np.ndarray, note: str) -> None:
    """Equal up to rounding, which grows with the numbers that were added up."""
    assert (got.shape, got.dtype) == (want.shape, want.dtype), f"{note}: {got.dtype}{got.shape}, torch {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, note)
        return
    finite = want[np.isfinite(want)]
    scale = max(1.0, float(abs(finite).max())) if finite.size else 1.0
    limits = TOLERANCE[str(want.dtype)]
    np.testing.assert_allclose(got, want, rtol=limits["rtol"], atol=limits["atol"] * scale, err_msg=note)

"""Random expressions of up to 50 operations equal torch: every value on the way, and the gradient of every leaf."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")

from tests.conformance.graphs import USED, expressions  # noqa: E402

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=120, suppress_health_check=list(HealthCheck))
TIGHT = 1e-9                                        # relative to the largest number; float64 has 2e-16


def close(got, want, note):
    scale = max(float(abs(want).max()), 1.0) if want.size else 1.0
    np.testing.assert_allclose(got, want, rtol=TIGHT, atol=TIGHT * scale, err_msg=note)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom", "ignore::RuntimeWarning")
@REPEATABLE
@given(expression=expressions())
def test_an_expression_and_its_gradients(expression):
    note(f"{expression!r}")
    for k, value in enumerate(expression.values):
        close(value.ours.numpy(), value.theirs.detach().numpy(), f"value {k}")
    rng = np.random.default_rng(0)
    ends = [v for v in expression.values if not v.used]             # every value has a way to the result
    weights = [rng.uniform(0.5, 1.5, v.ours.shape) for v in ends]
    ours = sum((v.ours * w).sum() for v, w in zip(ends, weights))
    theirs = sum((v.theirs * torch.tensor(w)).sum() for v, w in zip(ends, weights))
    assert ours.requires_grad == theirs.requires_grad
    if not ours.requires_grad:
        return
    ours.backward()
    theirs.backward()
    for k, leaf in enumerate(expression.values):
        if leaf.ours.node is None and leaf.ours.requires_grad:
            assert (leaf.ours.grad is None) == (leaf.theirs.grad is None)
            if leaf.ours.grad is not None:
                close(leaf.ours.grad.numpy(), leaf.theirs.grad.numpy(), f"gradient of leaf {k}")


def test_the_expressions_are_large_and_of_all_kinds():
    lengths, names = [], set()

    @settings(REPEATABLE, max_examples=60)
    @given(expression=expressions())
    def collect(expression):
        lengths.append(len(expression.steps))
        names.update(name for name in USED for step in expression.steps if f": {name} of" in step)

    with np.errstate(all="ignore"):
        collect()
    assert max(lengths) <= 50 and np.median(lengths) > 20
    assert len(names) > 0.9 * len(USED), sorted(set(USED) - names)

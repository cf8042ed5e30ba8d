"""torch's own gradcheck and gradgradcheck are content with every gradient of ours."""

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")

from tests.conformance.forms import sloped  # noqa: E402
from tests.conformance.operations import OPERATIONS  # noqa: E402
from tests.conformance.through import through  # noqa: E402

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=5, suppress_health_check=list(HealthCheck),
                      phases=[Phase.generate])          # a check is too dear to look for a simpler case
SLOPED = [name for name, operation in OPERATIONS.items() if operation.slope]
FEW = 30                                            # numbers, each varied by itself; more are varied all together
QUIET = pytest.mark.filterwarnings("ignore")        # of numbers that become infinite, and of inputs of size 0


def drawn(data, operation, twice):
    """(a torch function that has a gradient once or twice, its inputs in float64): away from corners, at least one with a gradient."""
    case, wanted = sloped(data.draw, operation)
    assume(all(a.size for a in case.arrays))
    inputs = [torch.tensor(a.copy(), requires_grad=w) for a, w in zip(case.arrays, wanted)]
    return through(lambda *xs: operation.ours(*xs, **case.settings), twice), inputs


@QUIET
@pytest.mark.parametrize("name", SLOPED)
@REPEATABLE
@given(data=st.data())
def test_gradcheck(name, data):
    call, inputs = drawn(data, OPERATIONS[name], twice=False)
    assert torch.autograd.gradcheck(call, inputs, fast_mode=sum(x.numel() for x in inputs) > FEW)


@QUIET
@pytest.mark.parametrize("name", SLOPED)
@REPEATABLE
@given(data=st.data())
def test_gradgradcheck(name, data):
    call, inputs = drawn(data, OPERATIONS[name], twice=True)
    if OPERATIONS[name].twice:
        assert torch.autograd.gradgradcheck(call, inputs, fast_mode=sum(x.numel() for x in inputs) > FEW)
    else:
        with pytest.raises(RuntimeError, match=f"no second derivative.*{name.split()[0]}"):
            torch.autograd.gradgradcheck(call, inputs)

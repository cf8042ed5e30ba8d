"""Every gradient agrees with small steps in float64, and so does the gradient of the gradient.  Needs no torch."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance.forms import sloped
from tests.conformance.operations import OPERATIONS

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=15, suppress_health_check=list(HealthCheck))
SLOPED = [name for name, operation in OPERATIONS.items() if operation.slope]
QUIET = pytest.mark.filterwarnings("ignore::RuntimeWarning")        # the variance of one number is nan, and is skipped


def drawn(data, operation):
    """(f, inputs): a float64 call away from corners, at least one of its inputs with a gradient."""
    case, wanted = sloped(data.draw, operation)
    inputs = [tt.Tensor(a if a.flags.writeable else a.copy(), requires_grad=w, dtype=a.dtype) for a, w in zip(case.arrays, wanted)]
    return lambda *xs: operation.ours(*xs, **case.settings), inputs


@QUIET
@pytest.mark.parametrize("name", SLOPED)
@REPEATABLE
@given(data=st.data())
def test_gradient(name, data):
    assert tt.gradcheck(*drawn(data, OPERATIONS[name]), atol=1e-6, rtol=1e-5)


@QUIET
@pytest.mark.parametrize("name", SLOPED)
@REPEATABLE
@given(data=st.data())
def test_gradient_of_the_gradient(name, data):
    call, inputs = drawn(data, OPERATIONS[name])

    def steepness(*xs):
        """The squared length of the gradient of the sum of squares; it bends wherever `call` does."""
        y = call(*xs)
        slopes = tt.grad((y * y).sum(), [x for x in xs if x.requires_grad], create_graph=True)
        return sum((g * g).sum() for g in slopes)

    if OPERATIONS[name].twice:
        assert tt.gradcheck(steepness, inputs, rtol=1e-4)
    else:
        with pytest.raises(RuntimeError, match="no second derivative"):
            steepness(*inputs)

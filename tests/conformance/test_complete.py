"""No operation is forgotten: what the modules export is in the table, or stands among its exceptions with the reason."""

import inspect

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance.forms import cases
from tests.conformance.operations import EVERYTHING, EXCEPTIONS, OPERATIONS
from tinytorch.core import activations, attention, autograd, layers, losses, spatial, tensor
from tinytorch.generation import kv_cache
from tinytorch.models import transformer
from tinytorch.optimization import acceleration, quantization
from tinytorch.text import embeddings

MODULES = (tensor, activations, layers, losses, spatial, embeddings, attention, transformer, kv_cache, acceleration, quantization)
TABLED = {name.split()[0] for name in EVERYTHING} | {entry.built.__name__ for entry in OPERATIONS.values() if entry.built}
EXPORTED = {name: getattr(module, name) for module in MODULES for name in module.__all__}
PUBLIC = {name for name, value in EXPORTED.items() if inspect.isfunction(value) or inspect.isclass(value)}
LIFTED = {value.__name__ for module in (*MODULES, autograd) for value in vars(module).values() if hasattr(value, "places")} - {"given"}


def test_every_public_name_is_in_the_table():
    assert PUBLIC - TABLED - set(EXCEPTIONS) == set()


def test_every_exception_is_needed():
    assert set(EXCEPTIONS) - set(EXPORTED) - LIFTED == set(), "there is no such name"
    assert set(EXCEPTIONS) & TABLED == set(), "this one is in the table after all"


@pytest.fixture(scope="module")
def passed():
    """The names of the operations that pass the door while every entry of the table is run on a few inputs."""
    seen = set()
    watch = lambda call, op, arrays, params: seen.add(op.__name__) or call(arrays, params)     # noqa: E731

    @settings(derandomize=True, deadline=None, database=None, max_examples=3, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def run(data):
        for operation in OPERATIONS.values():
            case = data.draw(cases(operation, dtype="float64"))
            if not operation.refuses(case.arrays, case.settings):
                try_to(operation, case)

    tensor.around.append(watch)
    try:
        with np.errstate(all="ignore"):
            run()
    finally:
        tensor.around.remove(watch)
    return seen


def try_to(operation, case):
    """Run an operation; what it refuses, such as the largest of no numbers, is test_generated.py's business."""
    try:
        operation.ours(*(tt.Tensor(a, dtype=a.dtype) for a in case.arrays), **case.settings)
    except (ValueError, IndexError):
        pass


def test_every_operation_is_run_by_the_table(passed):
    assert LIFTED - passed - set(EXCEPTIONS) == set()

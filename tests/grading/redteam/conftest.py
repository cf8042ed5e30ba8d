"""The sandbox that is attacked: the one that grading would choose here."""

from __future__ import annotations

import pytest

from grading.sandbox import Sandbox, choose
from tito.errors import TitoError
from tito.settings import Grading


@pytest.fixture(scope="module")
def box() -> Sandbox:
    try:
        return choose(Grading())
    except TitoError as error:
        pytest.skip(str(error))

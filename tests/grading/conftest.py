"""The sandbox that grading would choose here: what is attacked, and what the course is graded in."""

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

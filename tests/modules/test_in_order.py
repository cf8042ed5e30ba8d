"""Somebody who is right can complete the whole course, in order, and each notebook's checks also pass on the package."""

from typing import Any

from tests.modules.conftest import Edition
from tests.modules.shelf import MODULES


def test_right_answers_complete_every_module(edition: Edition, tito: Any) -> None:
    for module in MODULES:
        edition.solve(module)
        code, said = tito(edition.root, "module", "complete", f"{module.number:02d}")
        assert (code, said.get("problems")) == (0, []), (module.label, said)
    rows = tito(edition.root, "module", "list")[1]["modules"]
    assert [row["state"] for row in rows] == ["done"] * len(MODULES)

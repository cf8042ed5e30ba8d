"""Of every module: the cards of its stub, and that it stands on the earlier ones alone (`tito dev check` tells of the rest)."""

import json
from pathlib import Path

import pytest

from tests.modules.conftest import Run
from tests.modules.shelf import MODULES, built_to, each_module, package_file, solved, stub, verdict
from tito.check.row import Row, columns
from tito.course import Module


@each_module
def test_every_check_of_a_stub_has_a_card_that_fits(module: Module) -> None:
    work = stub(module)
    found = verdict(work, module)
    assert [row.grade_id for row in found.rows] == [cell.grade_id for cell in work.tests] != []
    assert all(len(card) <= 15 and max(map(columns, card)) <= 80 for card in map(Row.card, found.rows))


WITHOUT_TENSOR = {"tokenization": 2 / 3, "profiling": 0.9}          # pairs of bytes; clocks and scales, which measure anything


@pytest.mark.parametrize("module", MODULES[1:], ids=lambda m: m.folder.name)
def test_a_solution_needs_the_earlier_modules(module: Module, tmp_path: Path) -> None:
    """It fails without them: only the few answers that are about arrays alone can pass."""
    found = verdict(solved(module), module, built_to(0, tmp_path / "empty"))
    assert not found.ok and found.points < found.max_points * WITHOUT_TENSOR.get(module.name, 1 / 3)
    assert "infra" not in {row.state for row in found.rows}


LOOK = """
import importlib, json, sys
import tinytorch
said = {}
for name in tinytorch.MODULES:
    try:
        importlib.import_module(name)
        said[name] = ""
    except ImportError as error:
        said[name] = str(error)
print(json.dumps([tinytorch.__file__, said, dir(tinytorch)]))
"""


@each_module
def test_a_prefix_of_the_package_says_what_is_not_built(module: Module, tmp_path: Path, python: Run) -> None:
    root = built_to(module.number, tmp_path / "a prefix")
    done = python(root, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    file, said, names = json.loads(done.stdout)
    assert Path(file).is_relative_to(root)
    assert len(said) == len(MODULES)
    for other in MODULES:
        name = ".".join(package_file(other).with_suffix("").parts)
        later = f"{name} is module {other.number:02d}; build it with: tito module start {other.number:02d}"
        assert said[name] == (later if other.number > module.number else "")
    assert "Tensor" in names


@pytest.mark.parametrize("module", MODULES[:-1], ids=lambda m: m.folder.name)
def test_a_later_name_says_which_module_to_build(module: Module, tmp_path: Path, python: Run) -> None:
    later = MODULES[module.number]
    name = ".".join(package_file(later).with_suffix("").parts)
    program = f"import tinytorch as tt\nshown = tt.MODULES[{name!r}][1].split()[0]\nassert shown not in dir(tt)\ngetattr(tt, shown)"
    done = python(built_to(module.number, tmp_path / "a prefix"), "-c", program)
    assert done.returncode == 1
    wanted = f"ImportError: {name} is module {later.number:02d}; build it with: tito module start {later.number:02d}"
    assert done.stderr.strip().split("\n")[-1] == wanted

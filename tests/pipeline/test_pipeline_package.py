"""The generated skeleton: lazy names, views, and one clear error for what is not built yet."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tito.course import Course
from tito.dev.lint import lint
from tito.export import export_course, write_files
from tito.package import Entry, skeleton

Run = Callable[..., str]


@pytest.fixture
def exported(course: Course) -> Path:
    export_course(course)
    return course.root


def test_importing_the_top_level_imports_nothing_else_and_is_quick(exported: Path, python: Run) -> None:
    program = (
        "import sys, time\nbefore = set(sys.modules)\nt = time.process_time(); import tinytorch; t = time.process_time() - t\n"
        "print(t * 1000, sorted(m for m in set(sys.modules) - before if m.partition('.')[0] in ('numpy', 'tinytorch', 'pathlib')))"
    )
    runs = [python(exported, program).strip().partition(" ") for _ in range(3)]
    assert {modules for _, _, modules in runs} == {"['tinytorch']"}
    assert min(float(milliseconds) for milliseconds, _, _ in runs) < 10


def test_names_come_when_they_are_asked_for(exported: Path, python: Run) -> None:
    python(
        exported,
        """
import sys, tinytorch as tt
assert 'Tensor' in dir(tt) and 'nn' in dir(tt) and 'numpy' not in sys.modules
t = tt.Tensor([1.0])
assert tt.Tensor is tt.core.tensor.Tensor and tt.add is tt.core.tensor.add
assert tt.nn.ReLU is tt.ReLU and tt.nn.functional.relu is tt.relu and tt.optim.Adam is tt.Adam
import tinytorch.nn.functional as F
from tinytorch.nn import ReLU, functional
assert F is functional and ReLU is tt.ReLU
assert not hasattr(tt.nn, 'relu') and not hasattr(F, 'ReLU') and 'relu' in dir(F)
from tinytorch import *
assert relu is tt.relu
try: tt.Tensr
except AttributeError as err: assert str(err) == "module 'tinytorch' has no attribute 'Tensr'"
""",
    )


def test_a_tensor_comes_with_its_gradients(exported: Path, python: Run) -> None:
    python(exported, "from tinytorch.core.tensor import Tensor; assert hasattr(Tensor, 'backward')")
    (exported / "tinytorch/core/autograd.py").unlink()
    python(exported, "from tinytorch.core.tensor import Tensor; assert not hasattr(Tensor, 'backward')")


@pytest.mark.parametrize(
    "statement",
    [
        "import tinytorch.core.activations",
        "from tinytorch.core.activations import relu",
        "import tinytorch as t; t.relu",
        "from tinytorch import ReLU",
        "from tinytorch.nn import ReLU",
        "from tinytorch.nn.functional import relu",
        "import tinytorch as t; t.core.activations",
    ],
)
def test_what_is_not_built_says_how_to_build_it(exported: Path, python: Run, statement: str) -> None:
    (exported / "tinytorch/core/activations.py").unlink()
    (exported / "tinytorch/core/autograd.py").unlink()
    out = python(exported, f"try:\n    {statement}\nexcept ImportError as err:\n    print(f'{{type(err).__name__}}: {{err}}')")
    assert out == "ImportError: tinytorch.core.activations is module 02; build it with: tito module start 02\n"
    python(
        exported,
        "import tinytorch as tt; assert tt.built('core.tensor') and not tt.built('tinytorch.core.activations') and not tt.built('x')\n"
        "assert 'relu' not in dir(tt) and 'ReLU' not in dir(tt.nn) and 'activations' not in dir(tt.core); from tinytorch.nn import *",
    )


def test_without_any_module_the_package_still_imports(exported: Path, python: Run) -> None:
    for name in ("tensor", "activations", "autograd"):
        (exported / f"tinytorch/core/{name}.py").unlink()
    python(
        exported,
        "import tinytorch, tinytorch.core, tinytorch.nn.functional, tinytorch.optim\n"
        "from tinytorch import *; assert 'add' not in globals()",
    )


def test_limit_hides_a_module_and_the_later_ones(exported: Path, python: Run) -> None:
    python(
        exported,
        """
import sys, tinytorch as tt
full = tt.Tensor
assert hasattr(full, 'backward') and tt.relu
tt.limit(3)
assert 'tinytorch.core.autograd' not in sys.modules and not tt.built('core.autograd') and 'backward' not in dir(tt)
assert tt.Tensor is not full and not hasattr(tt.Tensor, 'backward'), 'nothing keeps a hidden module alive'
for name in ('backward', 'Adam'):
    try: getattr(tt, name)
    except ImportError as err: assert str(err) == 'tinytorch.core.autograd is module 03; its names are built here: use them as they are'
    else: raise SystemExit(name)
small = tt.Tensor
tt.limit(3); tt.limit(4)                            # 4 changes what can be seen, the second 3 does not
assert tt.Tensor is not small and hasattr(tt.Tensor, 'backward')
same = tt.Tensor
tt.limit(4); tt.limit(9); tt.limit(None)
assert tt.Tensor is same
tt.limit(1)
try: tt.backward
except ImportError as err: assert str(err) == 'tinytorch.core.autograd is module 03; build it with: tito module start 03'
try: tt.Tensor
except ImportError as err: assert 'module 01' in str(err)
else: raise SystemExit('Tensor')
tt.limit(None)
assert tt.Tensor([1.0]) and sum(f.__module__ == 'tinytorch' for f in sys.meta_path if isinstance(f, type)) == 1
""",
    )


def test_a_folder_package_can_be_a_view_and_names_have_one_owner(tmp_path: Path, python: Run) -> None:
    """As tinytorch.data, which holds data/loader.py and shows its names."""
    table = [Entry(8, "data.loader", ("Dataset", "add"), ("data",)), Entry(1, "core.tensor", ("Tensor", "add"))]
    files = skeleton(table)
    assert set(files) == {"__init__.py", "core/__init__.py", "data/__init__.py"}
    assert files == skeleton(table[::-1])
    write_files(
        tmp_path / "tinytorch",
        files
        | {"core/tensor.py": "class Tensor: pass\nadd = print\n", "data/loader.py": "class Dataset: pass\nfrom ..core.tensor import add\n"},
    )
    python(
        tmp_path,
        "import tinytorch as tt, builtins\n"
        "assert tt.data.Dataset is tt.data.loader.Dataset is tt.Dataset; assert tt.add is builtins.print\n"
        "assert tt.MODULES['tinytorch.data.loader'] == (8, 'Dataset'); assert 'add' not in dir(tt.data)",
    )


def test_an_empty_chair_belongs_to_the_module_that_sits_in_it(course: Course, python: Run) -> None:
    """As `record`: None in module 01, which autograd replaces with its own function of that name."""
    for number, old, new in (("01", "import math\n", "import math\nrecord = None\nother: object = None\n"),
                             ("03", "Tensor.backward = backward", "Tensor.backward = backward\ndef record(): pass\n")):
        path = course.module(number).source
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    assert [str(p) for m in course.modules for p in lint(course, m)] == []
    export_course(course)
    python(course.root, "import tinytorch as tt; assert tt.record is tt.core.autograd.record and not hasattr(tt, 'other')")


def test_generated_text_is_clean_and_says_what_it_is(tmp_path: Path) -> None:
    many = tuple(f"name_{n}" for n in range(60))
    files = skeleton(
        [Entry(1, "core.tensor", many), Entry(5, "core.autograd", ("grad",)), Entry(3, "core.layers", ("Linear", "linear"), ("nn",))]
    )
    assert skeleton([])["__init__.py"]
    for path, text in files.items():
        assert text.startswith('"""') and "Do not edit." in text, path
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "140", "--select", "E,F,W,B", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout

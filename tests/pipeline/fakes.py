"""A course of three tiny modules, kept to every rule of the real ones."""

from pathlib import Path

SETTINGS = """\
# What an instructor edits.

# who we are
[course]
id = tiny
title = Tiny Torch

# when things are due
[deadlines]
01 = 2027-01-31

# nobody's business
[grading]
gradebook = sqlite:///secret.db
"""


def _marks(name: str, **marks: object) -> str:
    known = {"grade": False, "grade_id": name, "locked": False, "schema_version": 3, "solution": False, "task": False, **marks}
    body = ", ".join(f'"{key}": {str(value).lower() if isinstance(value, bool) else repr(value)}' for key, value in sorted(known.items()))
    return "nbgrader={" + body.replace("'", '"') + "}"


def locked(name: str) -> str:
    return _marks(name, locked=True)


def solution(name: str) -> str:
    return _marks(name, solution=True)


def graded(name: str, points: int) -> str:
    return _marks(name, grade=True, locked=True, points=points)


def written(name: str, points: int) -> str:
    return _marks(name, grade=True, solution=True, points=points)


TENSOR = f'''\
# %% [markdown]
"""
# Tensor

> Arrays that know their shape: Größe, 形.

Run it first.
"""

# %% {locked("tensor-setup")}
from tito import notebook
notebook.use(1)

# %%
#| default_exp core.tensor

# %%
#| export
import math

import numpy as np

# %% {solution("tensor")}
#| export
class Tensor:
    """An array with a name."""

    def __init__(self, data):
        """Keep `data` as float32."""
        ### BEGIN SOLUTION
        self.data = np.asarray(data, dtype=np.float32) * math.cos(0.0)
        ### END SOLUTION

# %% {solution("tensor-add")}
#| export
def add(a, b):
    """The sum of two Tensors."""
    ### BEGIN SOLUTION
    total = np.add(a.data, b.data)
    return Tensor(total)   # "quoted", so that JSON escapes it
    ### END SOLUTION

Tensor.__add__ = add

# %% {graded("test-add", 50)}
def test_unit_add():
    """Two Tensors add up."""
    assert (Tensor([1.0]) + Tensor([2.0])).data[0] == 3.0

test_unit_add()

# %% [markdown] {written("why-float32", 10)}
"""
Why float32?

<!-- BEGIN SOLUTION -->
Because half of the memory traffic buys nearly all of the accuracy.
<!-- END SOLUTION -->
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt
# %matplotlib inline
plt.plot(Tensor([1.0, 2.0]).data)
'''

ACTIVATIONS = f'''\
# %% {locked("activations-setup")}
import tito.notebook
tito.notebook.use(2)

# %%
#| default_exp core.activations
#| view nn

# %%
#| export
import numpy as np
from tinytorch.core.tensor import Tensor, add
_all_ = ["add"]

# %% [markdown]
"""
## ReLU

```
# %% not a marker: it stands in a fence
```
"""

# %% {solution("relu")}
#| export
def relu(x):
    """Negative numbers become 0.

# %% not a marker either: it stands in a string
    """
    ### BEGIN SOLUTION
    clipped = np.maximum(x.data, 0.0)
    return Tensor(clipped)
    ### END SOLUTION

# %%
#| export
class ReLU:
    """relu as an object."""

    def __call__(self, x):
        return relu(x)

# %% {graded("test-relu", 60)}
def test_unit_relu():
    """ReLU cuts off at 0."""
    assert relu(Tensor([-1.0])).data[0] == 0.0

test_unit_relu()
'''

AUTOGRAD = f'''\
# %% {locked("autograd-setup")}
from tito.notebook import use
use(3)

# %%
#| default_exp core.autograd
#| view optim

# %%
#| export
from tinytorch.core.tensor import Tensor
from tinytorch.core.activations import relu

# %% {solution("backward")}
#| export
def backward(tensor):
    """Fill in the gradients."""
    ### BEGIN SOLUTION
    tensor.grad = relu(tensor).data
    ### END SOLUTION

Tensor.backward = backward

# %%
#| export
class Adam:
    """An optimizer, it says."""

# %% {graded("test-backward", 60)}
def test_module():
    """Gradients arrive."""
    x = Tensor([1.0])
    x.backward()

test_module()
'''

HIDDEN = {"01_tensor": (("tensor", "tensor-add"), "test-add"), "02_activations": (("relu",), "test-relu"),
          "03_autograd": (("backward",), "test-backward")}
SOURCES = {"01_tensor": TENSOR, "02_activations": ACTIVATIONS, "03_autograd": AUTOGRAD}


def write_course(root: Path) -> None:
    """The fake course's own files; `tito` is not among them."""
    for folder, text in SOURCES.items():
        path = root / "modules" / folder / f"{folder[3:]}_dev.py"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    (root / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    (root / ".gitignore").write_text(".venv/\n.ipynb_checkpoints/\nmodules/*/*.ipynb\n", encoding="utf-8")
    (root / "pyproject.toml").write_text('[project]\nname = "tiny"\n', encoding="utf-8")
    for folder, (answers, test) in HIDDEN.items():
        mistakes = "".join(f'Mistake("{answer}", "wrong", old="x", new="y", hint="never leaves the course")\n' for answer in answers)
        (root / "modules" / folder / "mistakes.py").write_text(mistakes, encoding="utf-8")
        probe = f'@probe("{test}")\ndef asked(tinytorch, rng):\n    """Never leaves the course."""\n'
        (root / "modules" / folder / "probes.py").write_text(probe, encoding="utf-8")

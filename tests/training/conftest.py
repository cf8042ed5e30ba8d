"""A good checkpoint, and a trainer that must not be harmed."""

import zipfile

import pytest

from tests.training import runs


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A checkpoint, its entries, and its tree."""
    path = tmp_path_factory.mktemp("good") / "run.npz"
    runs.complete(runs.trainer(), path)
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes(), {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def victim():
    made = runs.trainer(7)
    runs.complete(made)
    return made

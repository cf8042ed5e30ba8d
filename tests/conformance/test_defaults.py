"""What is left out means the same: where torch's signature can be read, our settings have its defaults."""

import inspect

import pytest

from tests.conformance.test_complete import EXPORTED, PUBLIC

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: the extra `conformance`")
ANOTHER = {                 # (name, setting): why
    **{(name, "dim"): "torch guesses an axis, and warns" for name in ("softmax", "log_softmax", "Softmax", "LogSoftmax")},
    ("Parameter", "data"): "a parameter without numbers is none",
    ("autocast", "dtype"): "torch has one for each kind of device",
}


def shared():
    """(name, setting, our default, torch's), for every setting that both have."""
    for name in sorted(PUBLIC):
        homes = torch.nn.functional, torch.nn, torch.nn.init, torch
        theirs = next((getattr(home, name) for home in homes if hasattr(home, name)), None)
        try:
            known = inspect.signature(theirs).parameters
        except (TypeError, ValueError):         # built in: there is no signature to read
            continue
        ours = inspect.signature(EXPORTED[name]).parameters
        yield from ((name, p, ours[p].default, known[p].default) for p in ours if p in known)


def test_defaults_are_torchs():
    found = list(shared())
    assert len(found) > 30
    assert {(name, p) for name, p, ours, theirs in found if ours is not theirs and ours != theirs} == set(ANOTHER)

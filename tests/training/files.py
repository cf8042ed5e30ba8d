"""Checkpoints made by hand, and the assertion that one is refused."""

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest


def everything(made):
    return json.dumps(made.state_dict(), default=lambda part: part.tolist()) + repr(sorted(vars(made).keys() - {"loaders", "waiting"}))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def written(path, data):
    path.write_bytes(data)
    return path


def npy(array=None, shape=None, dtype="<f4", data=b"", order=False, version=(1, 0), pickled=None):
    """An entry: an array, or a header that says what it likes."""
    file = io.BytesIO()
    if array is not None:
        np.lib.format.write_array(file, np.asarray(array), version=version)
        return file.getvalue()
    header = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(header)) + header + (pickle.dumps(pickled) if pickled else data)


def pack(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)


def tree_of(entries):
    return json.loads(np.frombuffer(np.load(io.BytesIO(entries["settings.npy"])), np.uint8).tobytes())


def changed(entries, change):
    """The entries, with the settings as `change(tree)` leaves them."""
    tree = tree_of(entries)
    change(tree)
    return list({**entries, "settings.npy": npy(np.frombuffer(json.dumps(tree).encode(), np.uint8))}.items())


def assert_refused(made, path, *words):
    before, begin = everything(made), time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            made.load_checkpoint(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and "load_checkpoint" in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 2000 and peak < 30e6 and time.process_time() - begin < 5
    assert everything(made) == before

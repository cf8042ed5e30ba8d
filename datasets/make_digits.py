"""Makes digits.npz from scikit-learn's copy of the scans, byte for byte the same every time.

    python -m pip install scikit-learn
    python datasets/make_digits.py
"""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

TARGET = Path(__file__).with_name("digits.npz")


def arrays() -> dict[str, np.ndarray]:
    """images (1797, 8, 8) uint8, 0 = paper .. 16 = ink; labels (1797,) int64."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = scans.images.astype(np.uint8)          # (1797, 8, 8)
    assert (images == scans.images).all() and images.max() == 16, "the scans are whole numbers from 0 to 16"
    return {"images": images, "labels": scans.target.astype(np.int64)}


def pack(members: dict[str, np.ndarray]) -> bytes:
    """An .npz as np.load reads it.  np.savez would write the time of day into it, and compressors differ: so it is stored as it is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in members.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1998, 7, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.create_system = 3                 # the same on every system
            raw = io.BytesIO()
            np.lib.format.write_array(raw, array, version=(1, 0), allow_pickle=False)
            archive.writestr(entry, raw.getvalue())
    return packed.getvalue()


if __name__ == "__main__":
    data = pack(arrays())
    TARGET.write_bytes(data)
    print(f"{TARGET.name}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")

"""The handwritten digits that the milestones read: the scans, which of them are held out, and how a hand trembles."""

import numpy as np
from common import ROOT, Refused

import tinytorch as tt

HELD_OUT, VALIDATION = 360, 240         # of 1,797 scans


def scans():
    """1,797 handwritten digits: images (1797, 8, 8) float32, 0 is paper and 1 is ink; labels (1797,) int64."""
    path = ROOT / "datasets" / "digits.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["images"].astype(np.float32) / 16, archive["labels"]
    except (OSError, ValueError, KeyError, EOFError) as err:
        raise Refused(f"the scans cannot be read: {path} ({type(err).__name__})", "copy that file from a fresh course") from None


def split(run, labels, classes=range(10)):
    """Numbers of the scans to learn from and of those that are asked about: the same every time, whatever the seed.

    360 scans are held out, and asked about once, at the end.  With --validate they stay shut, and 240 of the others take their place:
    that is how settings are chosen.
    """
    order = np.random.default_rng(1998).permutation(len(labels))
    if run.validate:
        order = order[HELD_OUT:]
    cut = VALIDATION if run.validate else HELD_OUT
    asked, learn = (part[np.isin(labels[part], list(classes))] for part in (order[:cut], order[cut:]))
    run.asked = f"{len(asked)} {'validation' if run.validate else 'held-out'} scans"
    run.fact("data", f"{len(learn):,} scans to learn from, {run.asked}")
    return learn, asked


class Unsteady:
    """A loader of scans (N, 1, 8, 8) whose scans are never quite the same: each is turned and shifted a little, anew every time.

    A hand is no machine either.  The network sees more hands than there were, and the scans that it is asked about stay as they are.
    """

    def __init__(self, loader, turn=0.15, shift=0.5):               # at most this much, in radians and in pixels
        self.loader, self.turn, self.shift = loader, turn, shift

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for scans, labels in self.loader:
            yield tt.Tensor(self.moved(scans.numpy())), labels

    def moved(self, scans):
        """Every new pixel looks where it comes from, and blends the four pixels around that place."""
        n, rng = len(scans), tt.default_generator
        turn = rng.uniform(-self.turn, self.turn, (n, 1, 1))
        down, right = rng.uniform(-self.shift, self.shift, (2, n, 1, 1))
        row, column = np.mgrid[:8, :8] - 3.5                            # (8, 8) each, the middle is 0
        y = np.clip(np.cos(turn) * row - np.sin(turn) * column + down + 4.5, 0, 8.99)           # (n, 8, 8)
        x = np.clip(np.sin(turn) * row + np.cos(turn) * column + right + 4.5, 0, 8.99)
        paper = np.pad(scans[:, 0], ((0, 0), (1, 1), (1, 1)))           # a margin of one pixel
        i, j, k = y.astype(int), x.astype(int), np.arange(n)[:, None, None]
        low, far = y - i, x - j
        above = (1 - far) * paper[k, i, j] + far * paper[k, i, j + 1]
        below = (1 - far) * paper[k, i + 1, j] + far * paper[k, i + 1, j + 1]
        return ((1 - low) * above + low * below).astype(np.float32)[:, None]                    # (n, 1, 8, 8)

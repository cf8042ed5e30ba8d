"""A small network learns to read handwritten digits, with the tinytorch of the folder that this file stands in.

    python milestones/digits.py [FOLDER]        the loss curve goes to FOLDER/digits.png (default: build/)

It needs modules 01 to 05 and nothing else: the optimiser is one line.  It fails when it reads fewer than 95 of 100 digits it never saw.
"""

import math
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import tinytorch as tt  # noqa: E402  # this folder's own, and no other that may be installed

EPOCHS, BATCH, LR, HELD_OUT, BAR = 30, 32, 0.2, 360, 0.95


def load_digits():
    """1,797 scans: pixels (1797, 64) float32 from 0 to 1, and labels (1797,) int64."""
    with np.load(ROOT / "datasets" / "digits.npz", allow_pickle=False) as archive:
        return archive["images"].reshape(-1, 64).astype(np.float32) / 16, archive["labels"]


def split(x, y):
    """The same 360 scans are held out every time: ((x, y) to learn from, (x, y) to be asked)."""
    order = np.random.default_rng(1998).permutation(len(x))
    held, rest = order[:HELD_OUT], order[HELD_OUT:]
    return (x[rest], y[rest]), (x[held], y[held])


def train(model, x, y, progress):
    """Plain gradient descent on batches; the loss of every step."""
    loss_fn, rng, losses = tt.CrossEntropyLoss(), np.random.default_rng(0), []
    task = progress.add_task("training", total=EPOCHS, loss=float("nan"))
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            batch = order[start:start + BATCH]
            loss = loss_fn(model(tt.Tensor(x[batch])), tt.Tensor(y[batch]))     # (B, 64) -> (B, 10) -> ()
            loss.backward()
            for p in model.parameters():
                p.data = p.data - LR * p.grad.data
                p.grad = None
            losses.append(float(loss.item()))
        progress.update(task, advance=1, loss=epochs(losses)[-1])
    return losses


def epochs(losses):
    """The mean loss of each epoch so far."""
    steps = math.ceil((1797 - HELD_OUT) / BATCH)
    return np.array(losses).reshape(-1, steps).mean(axis=1)


def accuracy(model, x, y):
    """The share of scans that get their largest score at the right digit."""
    with tt.no_grad():
        return float((model(tt.Tensor(x)).numpy().argmax(axis=1) == y).mean())


def draw(losses, path):
    """The loss of each step, and its mean over an epoch, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("Agg")               # a file, no window
    import matplotlib.pyplot as plt

    means = epochs(losses)
    steps = len(losses) / len(means)
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.semilogy(losses, color="0.8", linewidth=0.6, label="a batch")
    axes.semilogy(steps * (np.arange(len(means)) + 0.5), means, label="mean of an epoch")
    axes.set(xlabel="step", ylabel="cross entropy", title="Learning to read 8×8 digits")
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main(folder):
    print(f"tinytorch from {Path(tt.__file__).parent}")
    if not Path(tt.__file__).resolve().is_relative_to(ROOT):
        print(f"error: that is not the one in {ROOT}", file=sys.stderr)
        return 3
    tt.manual_seed(0)
    (x, y), (x_held, y_held) = split(*load_digits())
    model = tt.Sequential(tt.Linear(64, 64), tt.ReLU(), tt.Linear(64, 10))
    print(f"{len(x)} scans to learn from, {len(x_held)} held out, {sum(p.size for p in model.parameters())} parameters")

    began = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs   loss {task.fields[loss]:.4f}"),
               TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        losses = train(model, x, y, progress)
    seconds = time.perf_counter() - began

    folder.mkdir(parents=True, exist_ok=True)
    draw(losses, folder / "digits.png")
    right = accuracy(model, x_held, y_held)
    print(f"loss {losses[0]:.4f} at the first step, {epochs(losses)[-1]:.4f} over the last epoch, {seconds:.1f} s of training")
    print(f"accuracy {right:.1%} on the held-out scans (the bar is {BAR:.0%})")
    print(f"picture {folder / 'digits.png'}")
    if right < BAR:
        print("error: the bar was missed; something in modules 01 to 05 does not learn", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"))

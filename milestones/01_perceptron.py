"""1957: a perceptron tells twos from fives.

    python milestones/01_perceptron.py [--seed N] [--output FOLDER] [--json]

Frank Rosenblatt's perceptron looked at the world through 400 photocells, weighed what each of them saw, and said yes when the sum was
large enough. Nobody chose the weights: the machine was shown examples and moved its weights a little after each mistake.

This one has 64 cells, one for each pixel of a scan, and is shown two digits that are nearly each other's mirror image. It learns from the
loss of module 04, which moves the weights after right answers too, the less the surer they were.
"""

import sys

from common import milestone, progress  # before NumPy, which reads once how many threads there may be

# isort: split
import numpy as np
from drawing import reading, side_by_side
from handwriting import scans, split

import tinytorch as tt

CLASSES, EPOCHS, BATCH, LR = (2, 5), 20, 16, 0.1


def train(model, x, t, seed):
    """Plain gradient descent: the optimizer is one line.  The mean loss of each epoch."""
    loss_fn, rng, losses = tt.BCEWithLogitsLoss(), np.random.default_rng(seed), []
    with progress(EPOCHS) as advance:
        for _ in range(EPOCHS):
            total = 0.0
            for batch in np.array_split(rng.permutation(len(x)), len(x) // BATCH):
                loss = loss_fn(model(tt.Tensor(x[batch])), tt.Tensor(t[batch]))         # (B, 64) -> (B, 1) -> ()
                model.zero_grad()
                loss.backward()
                for p in model.parameters():
                    p.data -= LR * p.grad.data
                total += loss.item() * len(batch)
            losses.append(total / len(x))
            advance(losses[-1])
    return losses


def weights(model):
    """The weights as a scan: + where ink speaks for the second digit, - where it speaks against."""
    grid = model.weight.numpy().reshape(8, 8)
    strong = np.abs(grid) > 0.5 * np.abs(grid).max()
    weak = np.abs(grid) > 0.15 * np.abs(grid).max()
    marks = np.where(strong, np.where(grid > 0, "++", "--"), np.where(weak, np.where(grid > 0, "+ ", "- "), ". "))
    return ["".join(row) for row in marks]


def main(run):
    images, labels = scans()
    learn, asked = split(run, labels, CLASSES)
    x = images.reshape(-1, 64)                                          # (N, 64)
    t = (labels == CLASSES[1]).astype(np.float32).reshape(-1, 1)        # (N, 1): 1 is a five
    model = run.network(tt.Linear(64, 1))
    with run.timed():
        losses = train(model, x[learn], t[learn], run.seed)
    with tt.no_grad():
        z = model(tt.Tensor(x[asked])).numpy()                          # (N, 1): above 0 says five
    run.say("What it has learnt: + is where ink speaks for a five, - for a two.\n" + side_by_side([weights(model)], [""]))
    right, picture = reading(run, images[asked], labels[asked], np.hstack([-z, z]) / 2, losses, CLASSES)
    run.bar(f"accuracy on {run.asked}", right, "at least", 0.97)
    return run.finish(losses, "03 to 05", picture)


if __name__ == "__main__":
    sys.exit(milestone(main))

"""1969: one layer cannot do XOR, two can.

    python milestones/02_xor.py [--seed N] [--output FOLDER] [--json]

Exclusive or is true when exactly one of two things is. Marvin Minsky and Seymour Papert proved what a perceptron can never do, and this
is the smallest case: one layer draws one straight line through the plane, and no line has the two corners of a kind on the same side.
Three corners of four, 75 %, is the best there is. Money and interest left the field for more than a decade.

A hidden layer bends the line. Nobody knew then how to train one; the calculus of module 05 does.
"""

import sys

from common import milestone, progress  # before NumPy, which reads once how many threads there may be

# isort: split
import numpy as np
from drawing import curve, draw_curve, side_by_side

import tinytorch as tt

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
T = np.array([[0], [1], [1], [0]], np.float32)
SEEDS, STEPS, LR, HIDDEN = 20, 400, 0.5, 8


def one_layer():
    return tt.Linear(2, 1)


def two_layers():
    return tt.Sequential(tt.Linear(2, HIDDEN), tt.Tanh(), tt.Linear(HIDDEN, 1))


def train(model, advance):
    """Gradient descent on all four corners at once; the loss of each step."""
    loss_fn, losses = tt.BCEWithLogitsLoss(), []
    x, t = tt.Tensor(X), tt.Tensor(T)
    for _ in range(STEPS):
        loss = loss_fn(model(x), t)                     # (4, 2) -> (4, 1) -> ()
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= LR * p.grad.data
        losses.append(loss.item())
    advance(losses[-1])
    return losses


def says(model, points):
    """1 where the model says true, 0 where it says false, for points (N, 2)."""
    with tt.no_grad():
        return (model(tt.Tensor(points)).numpy() > 0).astype(int)       # (N, 1)


def plane(model, size=13):
    """The plane around the four corners, which are drawn as 0 and 1; # is where the model says true."""
    axis = np.linspace(-0.5, 1.5, size)
    points = np.array([[a, b] for b in axis[::-1] for a in axis], np.float32)
    grid = np.where(says(model, points).reshape(size, size) == 1, "##", "..").astype(object)
    for (a, b), (t,) in zip(X, T):
        grid[size - 1 - np.abs(axis - b).argmin(), np.abs(axis - a).argmin()] = f"{int(t)} "
    return ["".join(row) for row in grid]


def made(build, seed):
    tt.manual_seed(seed)
    return build()


def main(run):
    seeds = range(run.seed, run.seed + SEEDS)
    lines, bends = ([made(build, seed) for seed in seeds] for build in (one_layer, two_layers))
    run.network(bends[0])
    with run.timed(), progress(2 * SEEDS) as advance:
        losses = [train(model, advance) for model in lines + bends][SEEDS]
    right = [float((says(model, X) == T).mean()) for model in lines + bends]
    best = max(right[:SEEDS])
    shown = lines[right.index(best)], bends[0]
    captions = [f"one layer, at best: {best:.0%}", f"two layers: {right[SEEDS]:.0%}"]
    run.say(f"The plane after {STEPS} steps: # is where the answer is true; the corners bear\nwhat would be right.\n"
            + side_by_side([plane(model) for model in shown], captions, gap=8))
    run.say("The loss of the two layers, step by step:\n" + curve(losses))
    run.bar(f"one layer, the best of {SEEDS} seeds", best, "at most", 0.75)
    run.bar("two layers, all four right", right[SEEDS:].count(1.0), "at least", SEEDS, f"of {SEEDS} seeds")
    return run.finish(losses, "03 to 05", lambda plt: picture(plt, run, shown, losses, captions))


def picture(plt, run, models, losses, captions):
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    axis = np.linspace(-0.5, 1.5, 101)
    points = np.array([[a, b] for b in axis for a in axis], np.float32)
    for panel, caption, model in zip(axes, captions, models):
        panel.contourf(axis, axis, says(model, points).reshape(101, 101), levels=[-0.5, 0.5, 1.5], colors=["#f2f2f2", "#9ecae1"])
        panel.scatter(*X.T, c=T[:, 0], cmap="gray_r", edgecolors="black", s=120, vmin=0, vmax=1)
        panel.set(title=caption, xticks=[0, 1], yticks=[0, 1])
    draw_curve(axes[2], losses, "step of the two layers")
    figure.suptitle(f"{run.heading} (black corners and blue: true)")
    return figure


if __name__ == "__main__":
    sys.exit(milestone(main))

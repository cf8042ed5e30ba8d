"""Drawings of the milestones: as text for the terminal, and as parts of a picture (`axes` is matplotlib's)."""

import textwrap

import numpy as np

SHADES = " .:-=+*#%@"


def side_by_side(blocks, captions, gap=3):
    """Blocks of text (lists of lines) in a row, each with its caption above."""
    width = max(len(line) for block in blocks for line in block)
    width = max(width, *(len(c) for c in captions))
    rows = [captions] * any(captions) + list(zip(*blocks))
    return "\n".join("  " + (" " * gap).join(f"{text:<{width}}" for text in row).rstrip() for row in rows)


def digit(image):
    """A scan (8, 8) of 0 to 1 as eight lines of sixteen characters."""
    levels = np.round(np.clip(image, 0, 1) * (len(SHADES) - 1)).astype(int)
    return ["".join(SHADES[v] * 2 for v in row) for row in levels]


def attention(read, wrote, weights):
    """Where a network looked, (wrote, read) of 0 to 1: a row for each letter that it wrote, a column for each that it read."""
    return ["   " + "".join(f"{letter:<2}" for letter in read), *(f"{letter}  {row}" for letter, row in zip(wrote, digit(weights)))]


def quoted(text, width=75):
    """Text with a margin, its long lines folded; what cannot be printed is a dot."""
    text = "".join(letter if letter.isprintable() and letter != "\ufffd" or letter == "\n" else "." for letter in text.expandtabs(4))
    lines = [line for long in text.strip("\n").split("\n") for line in textwrap.wrap(long, width, replace_whitespace=False) or [""]]
    return "\n".join("    " + line for line in lines)


def curve(values, height=8, width=60):
    """A curve of positive values on a logarithmic scale: one column a value, or the mean of several."""
    parts = np.array_split(np.asarray(values, float), min(width, len(values)))
    means = np.array([part.mean() for part in parts])
    if not np.isfinite(means).all():
        return f"  (no curve: the loss became {means[~np.isfinite(means)][0]})"
    logs = np.log(np.maximum(means, 1e-9))
    low, high = logs.min(), logs.max()
    level = np.round((logs - low) / max(high - low, 1e-9) * (height - 1)).astype(int)
    wide = max(1, width // len(means))
    rows = []
    for h in range(height - 1, -1, -1):
        label = np.exp(low + (high - low) * h / (height - 1))
        rows.append(f"  {label:7.4f} |" + "".join(("*" if v == h else " ") * wide for v in level).rstrip())
    return "\n".join([*rows, "          +" + "-" * (wide * len(means)), f"           1{len(values):>{max(wide * len(means) - 1, 1)}}"])


def confusion(truth, said, classes):
    """How often each digit (a row) was read as each (a column): counts (n, n)."""
    classes = list(classes)
    return np.array([[int(((truth == t) & (said == s)).sum()) for s in classes] for t in classes])


def table(counts, classes):
    """A confusion matrix as text; a dot is none."""
    head = "  read as  " + "".join(f"{c:>5}" for c in classes)
    rows = [f"  {'a ' + str(c):>7}  " + "".join(f"{n or '.':>5}" for n in row) for c, row in zip(classes, counts)]
    return "\n".join([head, *rows])


def worst(sure, right, count=4):
    """The mistakes that were made with the most certainty; then the right answers with the least: numbers of scans."""
    order = np.lexsort((np.where(right, sure, -sure), right))
    return order[:count]


# -- parts of a picture


def draw_curve(axes, values, step):
    axes.semilogy(np.arange(1, len(values) + 1), values)
    axes.set(title="loss", xlabel=step)


def draw_table(axes, counts, classes):
    axes.imshow(np.log1p(counts), cmap="Blues")
    for (row, column), n in np.ndenumerate(counts):
        if n:
            axes.text(column, row, n, ha="center", va="center", fontsize=8, color="white" if n > counts.max() / 4 else "black")
    axes.set(title="confusion", xlabel="read as", ylabel="is", xticks=range(len(classes)), yticks=range(len(classes)),
             xticklabels=list(classes), yticklabels=list(classes))


def draw_attention(axes, read, wrote, weights, caption):
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set(title=caption, xlabel="read", ylabel="written", xticks=range(len(read)), yticks=range(len(wrote)),
             xticklabels=list(read), yticklabels=list(wrote))


def draw_digit(axes, image, caption):
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    axes.set(title=caption, xticks=[], yticks=[])


def reading(run, images, truth, logits, losses, classes=range(10)):
    """What a network made of the scans that it was asked: told on the page, and returned as (accuracy, picture)."""
    classes = np.array(classes)
    with np.errstate(all="ignore"):                                     # where training went to infinity
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)                   # (N, classes)
    said, sure = classes[chances.argmax(axis=1)], chances.max(axis=1)
    right = said == truth
    counts, shown = confusion(truth, said, classes), worst(sure, right)
    captions = [f"{truth[i]} read as {said[i]}, {sure[i]:.0%}" for i in shown]
    mistakes = int((~right).sum())
    title = f"{mistakes} mistake{'s' * (mistakes != 1)} in {len(truth)}" + ("; the worst" if mistakes else "")
    title += (" and" if mistakes else ";") + " the least sure" if mistakes < len(shown) else ""

    run.say("The loss, epoch by epoch:\n" + curve(losses))
    run.say(f"What is in the scans (rows), and what was read (columns):\n{table(counts, classes)}")
    run.say(f"{title}:\n" + side_by_side([digit(images[i]) for i in shown], captions))

    def picture(plt):
        places = [f"digit {k}" for k in range(len(shown))]
        figure, axes = plt.subplot_mosaic([["curve"] * 2 + ["table"] * 2, places], figsize=(10, 8), height_ratios=[2, 1],
                                          layout="constrained")
        draw_curve(axes["curve"], losses, "epoch")
        draw_table(axes["table"], counts, classes)
        for place, i, caption in zip(places, shown, captions):
            draw_digit(axes[place], images[i], caption)
        figure.suptitle(f"{run.heading} ({right.mean():.1%} right)")
        figure.supxlabel(title)
        return figure

    return right.mean(), picture


def writing(run, tasks, curves, table, sample):
    """A picture: where attention looked in each task, what a letter cost while the network learned, and what it writes."""
    def picture(plt):
        figure, axes = plt.subplot_mosaic([list(tasks), ["curve"] * len(tasks)], figsize=(10, 10), layout="constrained")
        for task, (right, *seen) in tasks.items():
            draw_attention(axes[task], *seen, f"{task}: {right:.1%} right")
        for name, bits in curves.items():
            axes["curve"].plot(range(1, len(bits) + 1), bits, label=name)
        axes["curve"].axhline(table, color="gray", linestyle="--", label="the table, held out")
        axes["curve"].set(title="bits a letter", xlabel="round")
        axes["curve"].legend()
        figure.suptitle(run.heading)
        lines = quoted(sample, 100).replace("$", r"\$").split("\n")
        figure.supxlabel("\n".join(lines[:12]), fontsize=8, family="monospace", ha="left", x=0.02)
        return figure

    return picture

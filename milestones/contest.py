"""The contest of milestone 6: its entries, weighed, counted and timed from outside, and how they are told."""

import copy
import functools
import gc
import runpy
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from tempfile import TemporaryDirectory

import numpy as np
from common import Refused

import tinytorch as tt

BATCH, STEPS, LR = 4, 50, 3e-3          # of the text: windows a step, steps a round
FOUR, FIVE = (runpy.run_path(str(Path(__file__).with_name(name))) for name in ("04_cnn.py", "05_transformer.py"))


def trained(run, plan, cnn, scans, gpt, ids):
    """Train both models as their milestones do, or take what an earlier run has trained; the losses."""
    file = run.folder / f"{run.name}.{'quick' if run.options.quick else 'full'}.npz"
    if run.options.resume:
        if not file.exists():
            raise Refused(f"there is no {file}", "run it once without --resume")
        with np.load(file, allow_pickle=False) as kept:
            run.model.load_state_dict({key: kept[key] for key in kept.files if key != "losses"})
            return kept["losses"].tolist()
    losses, _ = FOUR["learn"](cnn, scans, plan.epochs)
    data = tt.text.TextDataset(ids, gpt.max_seq_len)
    some = tt.RandomSampler(data, replacement=True, num_samples=STEPS * BATCH)
    optimizer = tt.AdamW(gpt.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1)
    trainer = tt.Trainer(tt.Sequential(gpt, tt.Flatten(0, 1)), optimizer, tt.CrossEntropyLoss(),
                         FIVE["Warm"](LR, LR / 20, plan.rounds), grad_clip_norm=1.0)
    loader = tt.DataLoader(data, BATCH, sampler=some, collate_fn=FIVE["flat"])
    losses += trainer.fit(loader, plan.rounds, callbacks=[run.hopeless])["train_loss"]
    np.savez(file, losses=losses, **run.model.state_dict())
    return losses


@dataclass
class Entry:
    """One way to do a task: a model, the bytes of its file, what it does in a turn, and how good it is (the bigger, the better)."""

    name: str
    model: tt.Module
    size: int
    turn: Callable[[], object]
    quality: float
    module: int = 0                     # that made it what it is
    less: dict = field(default_factory=dict)        # how many times less it has to have than the first entry: {"size": 4}
    answer: object = None               # of a turn, its profile, and what it took
    seen: object = None
    flops: int = 0
    seconds: float = float("nan")

    @property
    def look(self):
        return f"module {self.module:02d}"

    def busiest(self, count=5):
        """Where the time of a turn went: its longest operations, as text."""
        total = self.seen.total("own_seconds")
        return "\n".join(f"  {row['name']:<18}{row['calls']:>7,} calls{row['own_seconds'] / total:>8.1%} of the time"
                         f"{row['flops'] / 1e6:>10,.1f} MFLOP" for row in self.seen.rows()[:count])

    def gains(self, first):
        """(what it has less of, how many times less than the first entry, how many times it should be)."""
        return [(what, getattr(first, what) / max(getattr(self, what), 1e-9), times) for what, times in self.less.items()]


def weighed(model, write, read):
    """What comes out of a model's file, and the bytes of that file: what is entered was written and read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "entry.npz"
        write(model, path)
        return read(path), path.stat().st_size


def plain(model):
    """A model, and the bytes of the file of all its numbers as they are."""
    return weighed(model, lambda model, path: np.savez(path, **model.state_dict()), lambda path: copy.deepcopy(model))


def rounded(model, bits):
    """The same for its weights in 8 or 4 bits."""
    return weighed(tt.quantize_model(model, bits=bits), tt.save_quantized, lambda path: tt.load_quantized(path, model))


def memory(call):
    """Bytes that a call holds at its worst moment, and those that are alive as long as what it returns is."""
    gc.collect()
    tracemalloc.start()
    try:
        result = call()
        alive, peak = tracemalloc.get_traced_memory()
        del result
        return peak, alive
    finally:
        tracemalloc.stop()


def in_one_go(gpt, batch):
    """GELU in one operation, of what a block makes of a batch: its memory at the worst moment and its time, as shares of what nine take."""
    with tt.no_grad():
        x = gpt.blocks[0].mlp.fc(gpt.token_embedding(batch[0]))
        nine, one = (functools.partial(gelu, x) for gelu in (tt.unfused_gelu, tt.fused_gelu))
        times = tt.compare({"nine": nine, "one": one}, 3, 31)
        return memory(one)[0] / memory(nine)[0], times["one"].median / times["nine"].median


def in_halves(gpt, batch, steps=12):
    """A new GPT that learns in halves: the bytes it keeps for a batch's gradients and the fall of its loss, in shares of float32's."""
    start, loss_fn = tt.Sequential(tt.GPT(**gpt.settings), tt.Flatten(0, 1)), tt.CrossEntropyLoss()

    def loss(model=start):
        return loss_fn(model(batch[0]), batch[1])

    def half():
        with tt.autocast():
            return loss()

    def after(train):
        model = copy.deepcopy(start)
        trainer = train(model, tt.Adam(model.parameters(), lr=LR), loss_fn=loss_fn)
        for _ in range(steps):
            trainer.train_step(batch) if hasattr(trainer, "train_step") else trainer.train_epoch([batch])
        return loss(model).item()

    fallen = [loss().item() - after(train) for train in (tt.MixedPrecisionTrainer, tt.Trainer)]
    return memory(half)[1] / memory(loss)[1], fallen[0] / fallen[1]


@dataclass
class Task:
    """What the entries are to do, `count` pieces in a turn; and what is drawn of them: a cost to the right, something good upwards."""

    name: str
    piece: str
    count: int
    entries: list[Entry]
    quality: tuple[str, Callable[[Entry], str]]     # what it is called, and how it is told
    across: tuple[str, Callable[[Entry], float]]
    upwards: tuple[str, Callable[[Entry], float]]

    def race(self, rounds):
        """Count what passes the door in a turn of each entry, then time them while they take turns; up to thrice, where a bar is missed."""
        for entry in self.entries:
            with tt.profile() as entry.seen:
                entry.answer = entry.turn()
            entry.flops = entry.seen.total("flops")
        for _ in range(3):                              # a busy machine disturbs some more than others
            timings = tt.compare({entry.name: entry.turn for entry in self.entries}, 1, rounds)
            for entry in self.entries:
                entry.seconds = timings[entry.name].median
            if all(times >= least for entry in self.entries for what, times, least in entry.gains(self.entries[0]) if what == "seconds"):
                break
        return self

    @property
    def unbeaten(self):
        """Those than which no other is both better and cheaper."""
        points = [(self.across[1](entry), -self.upwards[1](entry)) for entry in self.entries]
        return [self.entries[k] for k in tt.pareto_frontier(points)]

    def told(self):
        """The entries as a table, with a letter each, and below it where they stand: a capital letter is one that no other beats."""
        lines = [["", "bytes", f"MFLOP a {self.piece}", f"ms a {self.piece}", self.quality[0]]]
        for mark, e in zip(ascii_uppercase, self.entries):
            each = f"{e.flops / self.count / 1e6:.3f}", f"{1e3 * e.seconds / self.count:.3f}"
            lines.append([f"{mark} {e.name}", f"{e.size:,}", *each, self.quality[1](e)])
        widths = [max(map(len, column)) for column in zip(*lines)]
        table = ["  ".join(cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(line, widths))) for line in lines]
        return "\n".join([f"{self.name}:", *(f"  {line}" for line in table), "", *self.plane()])

    def plane(self, height=8, width=60):
        """The costs by their logarithm, as lines of text."""
        x, y = (np.array([value(entry) for entry in self.entries]) for _, value in (self.across, self.upwards))
        columns, rows = (np.round((v - v.min()) / max(np.ptp(v), 1e-9) * (size - 1)).astype(int)
                         for v, size in ((np.log(x), width), (y, height)))
        grid, best = [[" "] * width for _ in range(height)], self.unbeaten
        for mark, entry, row, column in zip(ascii_uppercase, self.entries, rows, columns):
            free = next(k for k in (*range(column, width), *range(column, -1, -1)) if grid[row][k] == " ")
            grid[row][free] = mark if entry in best else mark.lower()
        return [*("  |" + "".join(line).rstrip() for line in grid[::-1]), "  +" + "-" * width,
                f"   to the right: {self.across[0]}; upwards: {self.upwards[0]}", "   a small letter: another one is no worse in either"]

    def draw(self, axes):
        """The same as a part of a picture."""
        best, (across, x), (upwards, y) = self.unbeaten, self.across, self.upwards
        axes.step(*zip(*sorted((x(entry), y(entry)) for entry in best)), where="post", color="#4c72b0")
        for entry in self.entries:
            on = entry in best
            axes.plot(x(entry), y(entry), "o" if on else "x", color="#4c72b0" if on else "gray")
            axes.annotate(entry.name, (x(entry), y(entry)), (4, 5), textcoords="offset points", fontsize=9, rotation=30)
        axes.set(title=self.name, xscale="log", xlabel=across, ylabel=upwards)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.xaxis.set_minor_formatter("{x:,g}")
        axes.tick_params(axis="x", which="both", labelrotation=45)
        axes.margins(x=0.2, y=0.3)


def picture(run, *tasks):
    """What to draw when the run is over."""
    def draw(plt):
        figure, axes = plt.subplots(1, len(tasks), figsize=(12, 5), layout="constrained")
        for panel, task in zip(axes, tasks):
            task.draw(panel)
        figure.suptitle(run.heading)
        return figure

    return draw

"""What the milestones share: the options, the page, the bars, and what is said when something goes wrong.

A milestone ends with `sys.exit(milestone(main))`; its `main(run)` trains, tells what it sees, and is held to its bars.
"""

import argparse
import io
import json
import operator
import os
import re
import sys
import textwrap
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

# These matrices are so small that several threads would only wait for one another.  NumPy reads this once, when it is first imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))           # this folder's own tinytorch, and no other that may be installed

import tinytorch as tt  # noqa: E402

WIDTH = 79
BARS = {"at least": operator.ge, "at most": operator.le, "under": operator.lt}
UNITS = ("%", "s", "bits")
OK, MISSED, ENVIRONMENT, INTERRUPTED = 0, 1, 3, 130


class Refused(Exception):
    """The machine or the folder is not ready: what is wrong, and what to do."""


class Run:
    """One run of a milestone: what was asked for, what it has told, and the bars it was held to."""

    def __init__(self, path, doc, options):
        heading, _, self.story = doc.partition("\n")
        number, _, name = path.stem.partition("_")
        year, title = re.fullmatch(r"(\d{4}): (.+?)\.?", heading).groups()
        self.path, self.name, self.heading = path, path.stem, f"{year}: {title}"
        self.options, self.seed, self.folder, self.validate = options, options.seed, Path(options.output), options.validate
        self.out = io.StringIO() if options.json else sys.stdout
        self.bars, self.looks, self.model, self.seconds = [], [], None, 0.0
        self.result = {"schema_version": 1, "milestone": int(number), "name": name, "year": int(year), "title": title, "seed": self.seed,
                       "validate": self.validate, "passed": False, "problem": "it did not come to its end", "facts": {}}

    def begin(self):
        """See that results can be written and whose tinytorch this is, before any time is spent; then tell the story."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write()
        if not Path(tt.__file__).resolve().is_relative_to(ROOT):
            raise Refused(f"this is the tinytorch of {Path(tt.__file__).parent}, not of {ROOT}", "start Python afresh")
        tt.manual_seed(self.seed)
        self.say(self.heading)
        self.say(re.sub(r"^    python .*$", "", self.story, flags=re.MULTILINE))

    # The page

    def say(self, text):
        """Paragraphs.  One that has lines which begin with a space is a drawing, and stays as it is."""
        for paragraph in filter(None, text.strip("\n").split("\n\n")):
            drawn = re.search("^ ", paragraph, re.MULTILINE)
            print(paragraph if drawn else textwrap.fill(paragraph, WIDTH), file=self.out, end="\n\n")

    def fact(self, name, value):
        if name:
            self.result["facts"][name] = value
        print(textwrap.fill(f"{name:<12}{value}", WIDTH, subsequent_indent=" " * 12), file=self.out)

    def network(self, model):
        """Tell of a model, and remember its parameters as they are now."""
        self.model, self.before = model, {name: p.numpy().copy() for name, p in model.named_parameters()}
        self.result["parameters"] = sum(p.size for p in model.parameters())
        self.fact("network", ", ".join(_layer(layer) for layer in (model if isinstance(model, tt.Sequential) else [model])))
        self.fact("parameters", f"{self.result['parameters']:,}")
        return model

    @contextmanager
    def timed(self):
        """Measure training in the processor's time: a machine that is busy with something else is not held against anybody."""
        began, clock = time.thread_time(), time.perf_counter()
        yield
        self.seconds = time.thread_time() - began
        self.fact("training", f"{self.seconds:.1f} s of processor time, {time.perf_counter() - clock:.1f} s by the clock")
        print(file=self.out)

    def hopeless(self, trainer):
        """A callback of `fit`: True, which ends the training, where something stands still or the loss has not fallen in five epochs."""
        losses = trainer.history["train_loss"]
        return bool(self._still()) or not np.isfinite(losses[-1]) or len(losses) == 5 and min(losses) > 0.9 * losses[0]

    def _still(self):
        """Names of the parameters that are what they were at the beginning."""
        return [name for name, p in self.model.named_parameters() if np.array_equal(p.numpy(), self.before[name])]

    # The bars

    def bar(self, what, value, kind, limit, unit="%", look=""):
        """Hold a value to its bar, which is a limit and a kind of it: "at least", "at most", "under"; `look`: where, if it is missed."""
        passed = bool(BARS[kind](value, limit))
        if not passed:
            self.looks.append(look)
        self.bars.append({"what": what, "value": round(float(value), 4), "passed": passed,
                          "bound": f"{kind} {_shown(limit, unit if unit in UNITS else '')}", "text": f"{what}: {_shown(value, unit)}"})

    def finish(self, losses, modules, picture):
        """Print the bars, write the result (FOLDER/NAME.json) and the picture (FOLDER/NAME.png); the exit code."""
        width = max(len(bar["text"]) for bar in self.bars)
        for bar in self.bars:
            print(f"{'passed' if bar['passed'] else 'MISSED'}  {bar['text']:<{width}}  the bar: {bar['bound']}", file=self.out)
        missed = [bar for bar in self.bars if not bar["passed"]]
        problem = ""
        if missed:
            why = f"look at {self.looks[0]}" if self.looks[0] and not self._still() else f"{self._why(losses)}, in modules {modules}"
            problem = f"the bar was missed: {missed[0]['text']}, not {missed[0]['bound']}; {why}"
        self.result |= {"passed": not missed, "problem": problem, "bars": self.bars, "seconds": round(self.seconds, 3),
                        "losses": [round(float(loss), 6) if np.isfinite(loss) else None for loss in losses], "picture": self._draw(picture)}
        self.write()
        if problem:
            complain(problem, out=self.out)
        return MISSED if missed else OK

    def write(self):
        """Write the result, whole or not at all."""
        temporary = self.folder / f"{self.name}.json.tmp"
        temporary.write_text(json.dumps(self.result, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.folder / f"{self.name}.json")

    def _draw(self, picture):
        try:
            import matplotlib
        except ImportError:
            print("no picture  matplotlib is not installed: python -m pip install matplotlib", file=self.out)
            return ""
        matplotlib.use("Agg")           # a file, no window
        import matplotlib.pyplot as plt
        path = self.folder / f"{self.name}.png"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")          # a letter that the font does not have is a box
            picture(plt).savefig(path, dpi=110, bbox_inches="tight")
        print(f"picture {path}", file=self.out)
        return str(path)

    def _why(self, losses):
        """What to look at: did anything move, and did the loss fall?"""
        if still := self._still():
            return f"{still[0]} never moved: look at its gradient, and at the step along it"
        first, last = losses[0], losses[-1]
        if not np.isfinite(last):
            return f"the loss became {last}: look for a gradient that grows"
        if last > 0.7 * first:
            return f"the loss went from {first:.3f} to {last:.3f}: look at the gradients"
        return f"the loss fell from {first:.3f} to {last:.3f}, so it learns, but not this: look at the data, the labels, the gradients"


def _layer(layer):
    """A layer in a word: Linear 64x10, ReLU."""
    shape = next((p.shape for p in layer.parameters()), ())
    return " ".join([type(layer).__name__, *(["x".join(map(str, shape))] if shape else [])])


def _shown(value, unit):
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit == "bits":
        return f"{value:.3f} bits"
    if not unit:
        return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    return f"{value:,} {unit}" if isinstance(value, int) else f"{value:.1f} {unit}"


@contextmanager
def progress(total):
    """A bar on stderr, where that is a terminal: call what it gives with the loss, after each of `total` steps."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    console = Console(stderr=True)
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.4f}"), TimeElapsedColumn())
    plain = not console.is_terminal or console.no_color or console.is_dumb_terminal
    with Progress(*columns, console=console, transient=True, disable=plain) as bar:
        task = bar.add_task("", total=total, loss=float("nan"))
        yield lambda loss: bar.update(task, advance=1, loss=loss)


def complain(what, fix="", out=sys.stdout):
    out.flush()
    print(f"error: {what}" + (f"\nfix:   {fix}" if fix else ""), file=sys.stderr)


def milestone(main, **more):
    """Read the options and run `main(run)`; what goes wrong becomes one message and an exit code.

    more: options of its own, each a name and its help, for a folder, or all that argparse is to know of it.
    """
    doc, path = sys.modules["__main__"].__doc__, Path(sys.modules["__main__"].__file__)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")            # a terminal that cannot show a letter is no reason to stop
    parser = argparse.ArgumentParser(description=doc.split("\n")[0], epilog="Exit code: 0 all bars passed, 1 one was missed.")
    parser.add_argument("--seed", type=_whole, default=0, metavar="N", help="of the first weights and the order of the data (0)")
    parser.add_argument("--output", default=str(ROOT / "build" / "milestones"), metavar="FOLDER", help="for the picture and the result")
    parser.add_argument("--validate", action="store_true", help="leave what is held out shut: ask about a part of the rest")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    for name, told in more.items():
        parser.add_argument(f"--{name}", **({"metavar": "FOLDER", "help": told} if isinstance(told, str) else told))
    options = parser.parse_args()
    run = Run(path, doc, options)
    try:
        run.begin()
        code = main(run)
    except (KeyboardInterrupt, BrokenPipeError) as err:     # the second: nobody reads on, as after `| head`
        if isinstance(err, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        (run.folder / f"{run.name}.json").unlink(missing_ok=True)
        return INTERRUPTED
    except Exception as err:
        if options.debug:
            traceback.print_exc()
        what, fix, code = _explained(err)
        run.result["problem"] = what
        if run.folder.is_dir():
            run.write()
        complain(what, fix, run.out)
    if options.json:
        print(json.dumps(run.result, indent=1))
    return code


def _explained(err):
    """Whatever was raised: what happened, what to do, and the exit code."""
    if isinstance(err, Refused):
        return *err.args, ENVIRONMENT
    if isinstance(err, ImportError) and (err.name or "").startswith("tinytorch"):
        what, _, fix = str(err).partition("; ")         # "tinytorch.core.spatial is module 09; build it with: ..."
        return what, fix, ENVIRONMENT
    if isinstance(err, OSError):
        return f"{err.filename or 'a file'} cannot be written: {err.strerror or err}", "name another folder with --output", ENVIRONMENT
    own = [frame for frame in traceback.extract_tb(err.__traceback__) if Path(frame.filename).is_relative_to(ROOT / "tinytorch")]
    where = f"{Path(own[-1].filename).relative_to(ROOT).as_posix()}, line {own[-1].lineno}, in {own[-1].name}" if own else "the milestone"
    return f"it stumbled over {type(err).__name__}: {err} ({where})".replace("\n", " "), "see how it came there with --debug", MISSED


def _whole(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number such as 0 or 12")
    return int(text)

"""The milestones pass on a library that works, and fail where one part of it is knocked out: nothing is learnt by chance.

A run of every day takes the fifth and the sixth in their short forms; with TITO_ALL=1 it is the whole, which takes minutes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sampling import ALL
from tests.waiting import soon

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "milestones").glob("[0-9][0-9]_*.py"))
NEEDS = {1: "core.autograd", 2: "core.autograd", 3: "data.loader", 4: "core.spatial", 5: "models.transformer",
         6: "benchmarking.benchmark"}               # the last that it uses

# What a program does before the milestone's own text is run in its place, with `change` made to that text.
RUN = """
import sys
from pathlib import Path
path = Path({path!r})
sys.path.insert(0, str(path.parent))
import common
import handwriting
import numpy as np
import tinytorch as tt
text = path.read_text(encoding="utf-8")

def rule(name, change):
    __import__("tinytorch.core.spatial" if tt.built("core.spatial") else "tinytorch")
    op = tt.OPS[name]
    run = op.rule.run
    def changed(*args, **kwargs):
        result = run(*args, **kwargs)
        return tuple(r if r is None else change(r) for r in result) if isinstance(result, tuple) else change(result)
    op.rule.run = changed

def labels_shuffled():
    images, labels = real()
    return images, np.random.default_rng(0).permutation(labels)

real = handwriting.scans
{knock}
__doc__, __file__ = text.split('\"\"\"')[1], str(path)
sys.argv[0] = str(path)
exec(compile(text, path, "exec"))
"""
ZERO, NEGATED = "lambda g: 0 * g", "lambda g: -g"


@dataclass
class Ran:
    code: int
    out: str
    err: str
    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        [path] = (path for path in self.folder.glob("*.json") if "." not in path.stem)
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data


def run(number: int, folder: Path, *options: str, knock: str = "") -> Ran:
    path = FILES[number - 1]
    if not ROOT.joinpath("tinytorch", *NEEDS[number].split(".")).with_suffix(".py").exists():
        pytest.skip(f"{NEEDS[number]} is not exported yet")
    start = ["-c", RUN.format(path=str(path), knock=knock)] if knock else [str(path)]
    done = subprocess.run([sys.executable, "-X", "utf8", *start, "--output", str(folder), *options], capture_output=True, encoding="utf-8",
                          timeout=1200 if ALL else 300, stdin=subprocess.DEVNULL)
    return Ran(done.returncode, done.stdout, done.stderr, folder)


@pytest.fixture(scope="module")
def fifth(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The fifth in its short form, as it should go."""
    return run(5, tmp_path_factory.mktemp("fifth"), "--quick")


@pytest.fixture(scope="module")
def sixth(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The sixth in its short form, as it should go."""
    return run(6, tmp_path_factory.mktemp("sixth"), "--quick")


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_it_passes_and_its_page_reads_well_in_a_pipe(number: int, tmp_path: Path) -> None:
    reads_well(run(number, tmp_path), FILES[number - 1].stem)


def test_so_does_the_fifth_and_keeps_what_it_has_learnt(fifth: Ran) -> None:
    reads_well(fifth, "05_transformer", "05_transformer.model.npz", "05_transformer.tokenizer.json")
    import tinytorch as tt
    model, tokenizer = (kind.load(fifth.folder / f"05_transformer.{name}") for kind, name in (
        (tt.GPT, "model.npz"), (tt.text.Tokenizer, "tokenizer.json")))
    assert model.vocab_size == tokenizer.vocab_size == 512 and "John 22" in fifth.out
    assert tokenizer.decode(model.generate(tokenizer.encode("John 22"), 1)).startswith("John 22")


def test_so_does_the_sixth_whose_figures_are_measured(sixth: Ran) -> None:
    reads_well(sixth, "06_olympics", "06_olympics.quick.npz")
    assert sixth.result["instead"] == "this was the short form" and len(sixth.result["bars"]) == 25
    value = {bar["what"]: bar["value"] for bar in sixth.result["bars"]}
    told = [re.split("  +", line[4:].replace(",", "")) for line in re.findall("^  [A-F] .*[0-9]%?$", sixth.out, re.MULTILINE)]
    rows = {name: [float(cell.removesuffix("%")) for cell in cells] for name, *cells in told}
    assert len(told) == 10 and len(rows) == 9                               # the last "as it was" is the text's
    size, work, *_ = rows["as it was"]                                      # what the table tells is what the bars hold
    assert value["cached, int4, bytes"] == pytest.approx(size / rows["cached int4"][0], rel=1e-3)
    assert value["cached, work"] == pytest.approx(work / rows["cached"][1], rel=1e-2)


def reads_well(ran: Ran, name: str, *more: str) -> None:
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert "\x1b" not in ran.out and "\r" not in ran.out
    page = ran.out.replace(str(ran.folder), "FOLDER")
    assert max(map(len, page.splitlines())) <= 79
    assert page.encode("latin-1")                       # no box characters: a plain terminal shows it all
    assert "\n\n\n" not in page and not page.startswith("\n")
    assert sorted(p.name for p in ran.folder.iterdir()) == sorted([f"{name}.json", f"{name}.png", *more])
    assert (ran.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert ran.result["passed"] and all(bar["passed"] for bar in ran.result["bars"]) and ran.result["problem"] == ""
    assert f"picture {ran.folder}" in ran.out


UNMASKED = """
whole = tt.MultiHeadAttention.__init__
tt.MultiHeadAttention.__init__ = lambda self, *args, **settings: whole(self, *args, **{**settings, "causal": False})"""

ROUNDED = """
import copy
def quantize_model(model, bits=8):                                  # "int8" that stays float32
    new = copy.deepcopy(model)
    for p in new.parameters():
        step = np.abs(p.data).max() / 127
        p.data[...] = np.round(p.data / step) * step
    return new
tt.quantize_model = quantize_model
tt.save_quantized = lambda model, path: np.savez(path, **model.state_dict())
tt.load_quantized = lambda path, model: model"""
COARSE = """
import tinytorch.optimization.quantization as module
fine = module.quantize
module.quantize = lambda *args, **settings: fine(*args, **settings) // 4 * 4"""
UNPLACED = """
import tinytorch.generation.kv_cache as cache
start = cache.start_step
cache.start_step = lambda ids, weights, at: start(ids, weights=weights, at=0)"""
WHOLE = """
import contextlib
tt.autocast = lambda *settings: contextlib.nullcontext()"""

KNOCKED = [
    (1, f'rule("linear", {ZERO})', "never moved"),
    (1, f'rule("linear", {NEGATED})', "look at the gradients"),
    (1, 'text = text.replace("p.data -= LR", "p.data -= 0 * LR")', "never moved"),
    (1, "handwriting.scans = labels_shuffled", "accuracy"),
    (2, f'rule("linear", {ZERO})', "never moved"),
    (2, f'rule("tanh", {NEGATED})', "two layers"),
    (2, 'text = text.replace("p.data -= LR", "p.data -= 0 * LR")', "never moved"),
    (2, 'text = text.replace("[[0], [1], [1], [0]]", "[[0], [1], [1], [1]]")', "one layer"),        # or: a line will do
    (3, f'rule("linear", {ZERO})', "never moved"),
    (3, f'rule("relu", {NEGATED})', "accuracy"),
    (3, "tt.SGD.step = lambda self, closure=None: None", "never moved"),
    (3, "handwriting.scans = labels_shuffled", "accuracy"),
    (3, 'rule("linear", lambda g: np.inf * g)', "the loss became nan"),
    (4, f'rule("convolve", {ZERO})', "never moved"),
    (4, f'rule("convolve", {NEGATED})', "accuracy"),
    (4, "tt.SGD.step = lambda self, closure=None: None", "never moved"),
    (4, "handwriting.scans = labels_shuffled", "accuracy"),
    (5, UNMASKED, "what later words change"),
    (5, "tt.LearnedPositionalEmbedding.forward = lambda self, x, start=0: x", "copy"),
    (5, "tt.MultiHeadAttention.forward = lambda self, x, mask=None: self.proj(self.qkv(x)[..., -self.embed_dim:])", "copy"),
    (5, "tt.AdamW.step = lambda self, closure=None: None", "never moved"),
    (6, ROUNDED, "int8, bytes|module 17"),
    (6, COARSE, "int4, of the quality|module 17"),
    (6, "tt.Masks.apply = lambda self: self", "80 % pruned, bytes|module 18"),
    (6, "import copy\ntt.structured_prune = lambda model, share: copy.deepcopy(model)", "half the channels, work|module 18"),
    (6, "tt.enable_kv_cache = lambda model: None", "cached, work|module 14"),
    (6, UNPLACED, "cached, the same tokens|module 14"),
    (6, "tt.fused_gelu = tt.unfused_gelu", "GELU in one operation, of the memory|module 16"),
    (6, WHOLE, "learning in halves, of the memory|module 16"),
    (6, "tt.MixedPrecisionTrainer.train_step = lambda self, batch: None", "learning in halves, of the progress|module 16"),
    (6, "tt.Profile.total = lambda self, what, *phase: self.root.seconds * (what != 'flops')", "half the channels, work|module 18"),
    (6, "tt.SGD.step = lambda self, closure=None: None", "never moved"),
]


@pytest.mark.parametrize(("number", "knock", "said"), KNOCKED, ids=[f"{n}-{k[:32]}" for n, k, _ in KNOCKED])
def test_it_fails_where_a_part_is_knocked_out(number: int, knock: str, said: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    options = ["--quick"] * (number == 6 or number == 5 and not ALL)
    if number == 6 and "never moved" not in said:                   # nothing of the training is knocked out
        shutil.copy(request.getfixturevalue("sixth").folder / "06_olympics.quick.npz", tmp_path)
        options.append("--resume")
    ran = run(number, tmp_path, *options, knock=knock)
    assert ran.code == 1, ran.out
    *warnings, line = ran.err.splitlines()
    assert not warnings or "nan" in said                        # NumPy's own, where numbers become infinite
    assert line.startswith("error: the bar was missed: ")
    assert all(word in line for word in said.split("|")), line
    assert "MISSED  " in ran.out
    assert ran.result["passed"] is False and ran.result["problem"] in line


def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    ran = run(1, tmp_path, "--json", "--seed", "3")
    assert ran.code == 0 and ran.err == ""
    data = json.loads(ran.out)
    assert data == ran.result
    assert [data[k] for k in ("schema_version", "milestone", "name", "year", "seed", "passed")] == [1, 1, "perceptron", 1957, 3, True]
    assert data["bars"][0].keys() == {"what", "value", "passed", "bound", "text"} and data["parameters"] == 65


def test_the_same_seed_gives_the_same_run_and_another_one_another(tmp_path: Path) -> None:
    first, again, other = (run(1, tmp_path / name, "--seed", seed).result["losses"] for name, seed in (("a", "1"), ("b", "1"), ("c", "2")))
    assert first == again != other


def test_the_held_out_scans_are_the_same_always_and_stay_shut_while_settings_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "milestones"))
    import common
    import handwriting
    labels = handwriting.scans()[1]
    parts = {}
    for validate in (False, True):
        options = argparse.Namespace(seed=0, output="", validate=validate, json=True)
        parts[validate] = handwriting.split(common.Run(FILES[2], "1986: a title.", options), labels)
    (learn, held), (learn_less, asked) = parts[False], parts[True]
    assert (len(learn), len(held), len(learn_less), len(asked)) == (1437, 360, 1197, 240)
    assert sorted([*learn, *held]) == list(range(1797)) and sorted([*learn_less, *asked]) == sorted(learn)
    assert sha256(held.astype("<i8").tobytes()).hexdigest().startswith("0de4da55b015376a")


@pytest.mark.parametrize("options", [["--seed", "x"], ["--seed", "-1"], ["--bogus"]])
def test_what_is_not_understood(options: list[str], tmp_path: Path) -> None:
    ran = run(1, tmp_path, *options)
    assert ran.code == 2 and ran.out == "" and "error: " in ran.err and not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_any_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    ran = run(4, tmp_path / "file")
    assert ran.code == 3 and ran.out == ""
    assert ran.err.startswith("error: ") and "--output" in ran.err and len(ran.err.splitlines()) == 2


@pytest.mark.parametrize("content", [None, b"", b"PK nonsense"], ids=["missing", "empty", "damaged"])
def test_scans_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "datasets").mkdir()
        (tmp_path / "datasets" / "digits.npz").write_bytes(content)
    ran = run(1, tmp_path / "out", knock=f"handwriting.ROOT = Path({str(tmp_path)!r})")
    assert ran.code == 3
    assert ran.err.splitlines()[0].startswith("error: the scans cannot be read: ") and ran.err.splitlines()[1].startswith("fix:   copy")


def test_a_module_that_is_not_built_yet(tmp_path: Path) -> None:
    ran = run(3, tmp_path, knock="tt.limit(6)")
    assert ran.code == 3
    assert ran.err.splitlines() == ["error: tinytorch.data.loader is module 08", "fix:   build it with: tito module start 08"]


def test_a_library_that_raises_says_where(tmp_path: Path) -> None:
    ran = run(1, tmp_path, knock="tt.Linear.forward = lambda self, x: x @ self.bias")
    assert ran.code == 1
    assert ran.err.startswith("error: it stumbled over ValueError: matmul") and "tinytorch/core/tensor.py, line " in ran.err
    assert "Traceback" not in ran.err and not ran.result["passed"] and ran.result["problem"] in ran.err
    assert "Traceback" in run(1, tmp_path, "--debug", knock="tt.Linear.forward = lambda self, x: x @ self.bias").err


def test_it_goes_without_matplotlib(tmp_path: Path) -> None:
    ran = run(1, tmp_path, knock="sys.modules['matplotlib'] = None")
    assert ran.code == 0 and "matplotlib is not installed" in ran.out
    assert [p.name for p in tmp_path.iterdir()] == ["01_perceptron.json"]


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, str(FILES[1]), "--output", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err == b""
    assert not any(tmp_path.iterdir())


def test_nobody_reads_on(tmp_path: Path) -> None:
    """As after `tito milestone run 1 | head -1`: it stops, as after Ctrl-C."""
    command = [sys.executable, str(FILES[0]), "--output", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(60) == 130
    assert not list(tmp_path.iterdir())


def test_cifar10_is_looked_at_where_it_is(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (8, 3073), np.uint8)
    rows[:, 0] %= 10
    archive = tmp_path / "photographs" / "cifar-10-binary.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = rows.size
            tar.addfile(member, io.BytesIO(rows.tobytes()))
    data = archive.read_bytes()
    knock = f"tt.CIFAR10[{archive.name!r}] = ({len(data)}, {sha256(data).hexdigest()!r})\ntext = text.replace('DECAY = 60', 'DECAY = 1')"
    ran = run(4, tmp_path / "out", "--cifar10", str(archive.parent), knock=knock)
    assert ran.code == 1 and "CIFAR-10: 40 photographs seen 4 times" in ran.out and "of 8 others" in ran.out
    missing = run(4, tmp_path / "out", "--cifar10", str(tmp_path), knock=knock)
    assert missing.code == 3 and "cifar-10-binary.tar.gz" in missing.err


@pytest.mark.skipif(os.name == "nt", reason="a process is ended otherwise there")
def test_killed_and_resumed_it_ends_as_if_nothing_had_happened(fifth: Ran, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-X", "utf8", str(FILES[4]), "--output", str(tmp_path / "parts"), "--quick"],
                               stdout=subprocess.DEVNULL)
    assert soon(lambda: [*tmp_path.glob("parts/*.checkpoint.npz")], 200)
    process.kill()
    process.wait()
    assert not (tmp_path / "parts" / "05_transformer.png").exists()
    whole, other = fifth, run(5, tmp_path / "parts", "--quick", "--resume")
    assert (whole.code, other.code) == (0, 0) and "After 50 steps" in whole.out and "After 50 steps" not in other.out
    assert not [*tmp_path.glob("*/*.checkpoint.npz")]
    assert whole.result["losses"] == other.result["losses"] and whole.result["bars"][:4] == other.result["bars"][:4]
    models = [dict(np.load(ran.folder / "05_transformer.model.npz", allow_pickle=False)) for ran in (whole, other)]
    assert models[0].keys() == models[1].keys() and all(np.array_equal(models[0][name], models[1][name]) for name in models[0])


def test_a_text_of_ones_own_has_no_bar(tmp_path: Path) -> None:
    ran = run(5, tmp_path, "--quick", "--text", str(ROOT / "datasets" / "ruth.txt"))
    assert ran.code == 0 and "ruth.txt: 11,876 letters" in ran.out and ran.result["instead"] == "this was the short form"
    assert [bar["what"].split()[0] for bar in ran.result["bars"]] == ["copy", "reverse", "what", "training"]
    missing = run(5, tmp_path / "none", "--quick", "--text", str(tmp_path / "none.txt"))
    assert missing.code == 3 and "none.txt" in missing.err.splitlines()[0] and "--text FILE" in missing.err.splitlines()[1]


def test_python_is_judged_by_its_own_parser(tmp_path: Path) -> None:
    ran = run(5, tmp_path, "--quick", "--corpus", "python")
    assert ran.code == 0, ran.err
    assert ran.result["instead"] == "this was the short form"
    assert re.search(r"own\s+parser\s+reads\s+\d+\s+of\s+20\s+definitions", ran.out)


def test_what_was_never_trained_is_not_resumed(tmp_path: Path) -> None:
    ran = run(6, tmp_path, "--quick", "--resume")
    assert ran.code == 3 and ran.err.startswith("error: there is no ") and "without --resume" in ran.err


@pytest.mark.skipif(not ALL, reason="minutes long: TITO_ALL=1")
def test_the_whole_of_the_sixth(tmp_path: Path) -> None:
    ran = run(6, tmp_path)
    assert ran.code == 0, ran.out + ran.err
    print(ran.out)


@pytest.mark.skipif(not ALL, reason="minutes long: TITO_ALL=1")
@pytest.mark.parametrize("options", [[], ["--corpus", "python"]])
def test_the_whole_of_the_fifth(options: list[str], tmp_path: Path) -> None:
    ran = run(5, tmp_path, *options)
    assert ran.code == 0, ran.out + ran.err
    print(ran.out)


def test_the_number_of_threads_is_set_before_numpy_reads_it() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert text.index("from common import") < (text + "import numpy").index("import numpy"), path.name


def test_the_programs_are_short() -> None:
    assert len(FILES) == 6
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= (160 if path.name.startswith("05") else 120) for path in FILES)

"""The pipeline and its submission: what is so stands, whatever is not so is found, and nothing depends on where it ran."""

from __future__ import annotations

import json
import math
import random
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tinytorch.applications import tinygpt
from tinytorch.applications.tinygpt import BenchmarkReport, CompleteTinyGPTPipeline, entropy, implausible, validate_submission

SETTINGS = {"vocab_size": 280, "embed_dim": 8, "num_layers": 1, "num_heads": 2, "max_seq_len": 16, "rounds": 2, "steps": 2, "batch_size": 2,
            "tokens": 3, "repeats": 5, "tune": 1, "matrix": 64}
TEXT = " ".join(random.Random(1).choices("and it came to pass in those days that;\n there went out a decree".split(" "), k=900))
PEAK = 1e14
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> CompleteTinyGPTPipeline:
    pipeline = CompleteTinyGPTPipeline(TEXT, SETTINGS, tmp_path_factory.mktemp("é run") / "out")
    pipeline.run()
    return pipeline


def test_what_is_so_stands(run: CompleteTinyGPTPipeline) -> None:
    assert validate_submission(run.folder / "submission.json", text=TEXT, peak=PEAK) == []
    assert validate_submission(str(run.folder / "submission.json"), text=TEXT, peak=PEAK) == []


def test_the_folder_holds_what_it_should(run: CompleteTinyGPTPipeline) -> None:
    files = {path.name for path in run.folder.iterdir()}
    variants = {f"{name}.tinygpt" for name in ("float32", "int8", "int4", "control", "pruned")}
    assert files == variants | {"report.html", "report.json", "submission.json"}
    for name in ("report.html", "report.json", "submission.json"):
        assert str(run.folder.parent) not in (run.folder / name).read_text(encoding="utf-8"), "a path of this machine"


def test_sizes_are_those_on_the_disk(run: CompleteTinyGPTPipeline) -> None:
    for entry in run.result.entries.values():
        assert entry["bytes"] == (run.folder / entry["file"]).stat().st_size
    nbytes = {name: entry["nbytes"] for name, entry in run.result.entries.items()}
    assert nbytes["int4"] < nbytes["int8"] < nbytes["float32"] / 2


LIES: dict[str, Callable[[Entry], Any]] = {
    "bytes": lambda e: e.update(bytes=e["bytes"] // 2),
    "hash": lambda e: e.update(sha256=e["sha256"][::-1]),
    "quality": lambda e: e.update(bits_per_character=e["bits_per_character"] * 0.998),
    "memory": lambda e: e.update(nbytes=e["nbytes"] // 4),
    "sparsity": lambda e: e.update(sparsity=0.95),
    "sample": lambda e: e.update(sample="And God said"),
    "cheap": lambda e: e.update(flops=e["flops"] // 9),
    "larger": lambda e: e.update(weights=e["weights"] * 10),
    "another file": lambda e: e.update(file="int4.tinygpt"),
    "no file": lambda e: e.update(file="no.tinygpt"),
    "a path": lambda e: e.update(file="../../x"),
    "a folder": lambda e: e.update(file="."),
    "instantly": lambda e: e.update(seconds=[s * 1e-9 for s in e["seconds"]]),
    "negative": lambda e: e.update(seconds=[-s for s in e["seconds"]]),
    "once": lambda e: e.update(seconds=e["seconds"][:1]),
    "by hand": lambda e: e.update(seconds=[0.5] * 9),
    "never": lambda e: e.update(seconds=[]),
    "nan": lambda e: e["seconds"].append(math.nan),
    "endless": lambda e: e["seconds"].append(math.inf),
    "true": lambda e: e["seconds"].append(True),
    "text": lambda e: e["seconds"].append("0.1"),
    "many tokens": lambda e: e.update(tokens=10 ** 12),
    "no tokens": lambda e: e.update(tokens=0),
    "half a token": lambda e: e.update(tokens=1.5),
    "null": lambda e: e.update(bits_per_character=None),
    "a list": lambda e: e.update(bytes=[1]),
    "missing": lambda e: e.pop("nbytes"),
    "no times": lambda e: e.pop("seconds"),
    "maybe": lambda e: e.update(cached=1),
    "nothing": lambda e: e.clear(),
    "not a number": lambda e: e.update(bits_per_character=math.nan),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_and_told_of_its_entry(run: CompleteTinyGPTPipeline, lie: str) -> None:
    submission = json.loads((run.folder / "submission.json").read_text())
    submission["entries"] = {name: submission["entries"][name] for name in ("int8", "int4")}
    LIES[lie](submission["entries"]["int8"])
    wrong = validate_submission(submission, run.folder, TEXT, PEAK)
    assert wrong and all(problem.startswith("int8: ") for problem in wrong)


def test_a_file_that_was_exchanged_is_found(run: CompleteTinyGPTPipeline, tmp_path: Path) -> None:
    for path in run.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "pruned.tinygpt").write_bytes((run.folder / "float32.tinygpt").read_bytes())
    wrong = validate_submission(tmp_path / "submission.json", text=TEXT, peak=PEAK)
    assert {problem.split(":")[0] for problem in wrong} == {"pruned"} and any("sha256" in problem for problem in wrong)


def test_it_is_about_the_judges_text(run: CompleteTinyGPTPipeline) -> None:
    assert validate_submission(run.folder / "submission.json", text=TEXT + "one more", peak=PEAK)[0].startswith("text:")


@pytest.mark.parametrize("empty", [{}, {"entries": {}}, {"entries": None}])
def test_an_empty_submission_is_none(empty: dict[str, Any], tmp_path: Path) -> None:
    assert any(problem.startswith("entries") for problem in validate_submission(empty, tmp_path, TEXT, PEAK))


def test_the_same_seed_makes_the_same_files(run: CompleteTinyGPTPipeline, tmp_path: Path) -> None:
    again = CompleteTinyGPTPipeline(TEXT, SETTINGS, tmp_path)
    for name in ("prepare", "train", "quantize", "prune"):
        getattr(again, name)()
    for name, entry in again.result.entries.items():
        assert entry["sha256"] == run.result.entries[name]["sha256"], name


def test_an_interrupted_run_goes_on(run: CompleteTinyGPTPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Exception):
        pass

    class Interrupted(tinygpt.TinyGPTTrainer):
        def fit(self, **settings: Any) -> Any:
            ask = self.tiny.bits_per_character

            def stop(text: str) -> float:
                if self.trainer.epoch == 2:
                    raise Killed
                return ask(text)
            self.tiny.bits_per_character = stop
            return super().fit(**settings)
    first = CompleteTinyGPTPipeline(TEXT, SETTINGS, tmp_path)
    first.prepare()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(tinygpt, "TinyGPTTrainer", Interrupted)
        first.train()
    second = CompleteTinyGPTPipeline(TEXT, SETTINGS, tmp_path)
    second.prepare()
    second.train()
    assert second.result.entries["float32"]["sha256"] == run.result.entries["float32"]["sha256"]


def test_a_cache_that_writes_another_text_is_no_cache(run: CompleteTinyGPTPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Any) -> None:
        own = model.generate
        model.generate = lambda ids, *settings, **more: np.asarray(own(ids, *settings, **more))[::-1].copy()
    monkeypatch.setattr(tinygpt, "enable_kv_cache", wrong)
    with pytest.raises(RuntimeError, match="another text"):
        run.cache()


def test_steps_that_come_too_early(tmp_path: Path) -> None:
    pipeline = CompleteTinyGPTPipeline(TEXT, SETTINGS, tmp_path)
    for name in ("train", "profile", "accelerate", "cache", "quantize", "prune", "report"):
        with pytest.raises(RuntimeError, match=f"{name}: .*prepare"):
            getattr(pipeline, name)()


def test_the_page_is_whole_in_itself(run: CompleteTinyGPTPipeline) -> None:
    page, seen = (run.folder / "report.html").read_text(encoding="utf-8"), set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.add(tag)
            assert not any(name in ("src", "href", "onclick") for name, _ in attrs)
    Tags().feed(page)
    assert "svg" in seen and "script" not in seen
    for picture in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + picture.split("</svg>")[0] + "</svg>")


def test_a_report_comes_back(run: CompleteTinyGPTPipeline) -> None:
    again = BenchmarkReport.load(run.folder / "report.json")
    assert again.entries == json.loads(json.dumps(run.result.entries)) and again.to_html()


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.6, 0.9, 0.99])
def test_no_packer_comes_below_the_bound(sparsity: float) -> None:
    """Signs and zeros drawn by chance, 2 bits each, packed as well as zlib can: never under what `implausible` asks for."""
    rng, n = np.random.default_rng(0), 80_000
    signs = np.where(rng.random(n) < sparsity, 0, rng.integers(1, 3, n)).astype(np.uint8).reshape(-1, 4)
    size = len(zlib.compress((signs << np.array([0, 2, 4, 6], np.uint8)).sum(axis=1).astype(np.uint8).tobytes(), 9))
    there = float((signs > 0).mean())
    entry = {"seconds": [1.0, 2.0, 3.0, 4.0, 5.0], "sparsity": 1 - there, "flops": 1, "tokens": 1, "weights": n, "bytes": size}
    assert implausible(entry, PEAK) == []
    assert size < 1.5 * n * (entropy(there) + there) / 8, "and it comes near, so the bound is a good one"
    assert implausible(entry | {"bytes": size // 2}, PEAK)

"""What is known of a module from its author's checks, and which of it is not as it should be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

Facts = dict[str, Any]
MISTAKES = 10                   # handwritten ones, at least
OWN = 0.80                      # of these, how many get the hint that is theirs, at least
ALONE = 0.95                    # ... and how many the probes see by themselves, at least: what a forged visible row cannot get around
VISIBLE = 0.95                  # of the mutants, how many the student's own checks see, at least
SEEN = 0.98                     # ... and how many these and the probes see
HINTS = 0.95                    # of the hints that mutants get, how many they get on a second input, too


@dataclass
class Audit:
    """What is known of one module."""

    module: str
    digest: str = ""                # of everything that the facts depend on
    complete: bool = True           # all mutants were tried, not only the fresh sample
    lint: list[str] = field(default_factory=list)
    unsolved: Facts = field(default_factory=dict)
    empty: Facts = field(default_factory=dict)
    solved: Facts = field(default_factory=dict)
    prefix: Facts = field(default_factory=dict)
    mistakes: list[Facts] = field(default_factory=list)
    mutants: list[Facts] = field(default_factory=list)
    fresh: list[Facts] = field(default_factory=list)                # a sample drawn with another seed
    seeds: list[Facts] = field(default_factory=list)
    equivalent: list[Facts] = field(default_factory=list)
    infra: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, facts: Facts) -> None:
        """Take up what one task found."""
        for name, value in facts.items():
            if isinstance(value, list):
                getattr(self, name).extend(value)
            else:
                setattr(self, name, value)

    def to_dict(self) -> Facts:
        return {**asdict(self), "problems": list(self.problems())}

    @classmethod
    def from_dict(cls, facts: Facts) -> Audit:
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in facts.items() if name in known})

    # ---- scores --------------------------------------------------------------------------------

    @property
    def own_hints(self) -> int:
        return sum(m["own"] for m in self.mistakes)

    @property
    def alone(self) -> int:
        return sum(bool(m["hidden"]) for m in self.mistakes)

    @property
    def tried(self) -> list[Facts]:
        """The mutants that the score is of."""
        return self.mutants if self.complete else self.fresh

    def survivors(self) -> list[Facts]:
        """Mutants that nobody saw, each with the reason where one is listed."""
        reasons = {(e["grade_id"], e["old"], e["new"]): e["why"] for e in self.equivalent}
        found = {(m["grade_id"], m["old"], m["new"]): m for m in [*self.mutants, *self.fresh] if not m["by"]}
        return [{**mutant, "why": reasons.get(key, "")} for key, mutant in found.items()]

    def hinted(self) -> list[Facts]:
        """The hints that mutants got, with what became of them on the second input, where the same check failed."""
        return [m["second"] for m in self.tried if comparable(m.get("second"))]

    # ---- what is amiss -------------------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        """What keeps the module from being trusted, one sentence each."""
        yield from (f"the checks could not be run: {text}" for text in self.infra)
        yield from self.lint
        for what, facts in (("the stub", self.unsolved), ("the stub, on an empty package,", self.empty)):
            yield from (f"{what} passes {grade_id}" for grade_id in facts.get("passed", ()))
        for what, facts in (("the answers", self.solved), ("the answers, on the modules up to this one alone,", self.prefix)):
            if facts and not (facts["ok"] and facts["points"] == facts["of"]):
                yield f"{what} get {facts['points']:g} of {facts['of']:g} points"
        yield from self._of_mistakes()
        yield from self._of_mutants()
        yield from (f"with seed {run['seed']} the answers fail: {run['seen']}" for run in self.seeds if run["seen"])

    def _of_mistakes(self) -> Iterator[str]:
        if len(self.mistakes) < MISTAKES:
            yield f"mistakes.py has {len(self.mistakes)} mistakes, not {MISTAKES} or more"
        yield from (f"no visible check sees the mistake {m['mistake']}" for m in self.mistakes if not m["seen_by"])
        if self.own_hints < OWN * len(self.mistakes):
            yield from (f"{m['mistake']}: the hint is {m['hint']!r}, not {m['wanted']!r}" for m in self.mistakes if not m["own"])
        yield from _low("of the mistakes probes alone see", self.alone / len(self.mistakes) if self.mistakes else 1.0, ALONE)
        for m in self.mistakes:
            if m["own"] and comparable(m["second"]) and not right(m["second"]):
                yield f"{m['mistake']}: the hint is {m['second']['first']!r}, and on a second input {m['second']['hint']!r}"

    def _of_mutants(self) -> Iterator[str]:
        for what, least, by in (("visible checks", VISIBLE, {"visible"}), ("visible checks and probes", SEEN, {"visible", "probe"})):
            yield from _low(f"of the mutants {what} see", _share(self.mutants, by), least)
            yield from _low(f"of a fresh sample of mutants {what} see", _share(self.fresh, by), _of_sample(least, len(self.fresh)))
        hints = self.hinted()
        share = sum(map(right, hints)) / len(hints) if hints else 1.0
        least = HINTS if self.complete else _of_sample(HINTS, len(hints))
        yield from _low("of the hints that mutants get, right on a second input are", share, least)
        unlisted = [m for m in self.survivors() if not m["why"]]
        for m in unlisted:
            yield f"nobody sees {m['grade_id']}, line {m['line']}, {m['operator']}: `{m['old']}` -> `{m['new']}`"
        seen = {(m["grade_id"], m["old"], m["new"]) for m in [*self.mutants, *self.fresh] if m["by"]}
        seen -= {(m["grade_id"], m["old"], m["new"]) for m in self.survivors()}
        yield from (f"mistakes.py lists as equivalent what does not survive: {e['grade_id']}: `{e['new']}`"
                    for e in self.equivalent if (e["grade_id"], e["old"], e["new"]) in seen)


def comparable(second: Facts | None) -> bool:
    """Whether the same check failed on both inputs, with a hint on the first."""
    return bool(second and second["first"] and second["same_check"])


def right(second: Facts) -> bool:
    """Whether the hint of the first input is the hint of the second, too."""
    return bool(second["hint"] == second["first"])


def _share(tried: list[Facts], by: set[str]) -> float:
    return sum(m["by"] in by for m in tried) / len(tried) if tried else 1.0


def _of_sample(least: float, size: int) -> float:
    """What a sample of this size shows at least where `least` is true of all: two standard errors less."""
    return least - 2 * math.sqrt(least * (1 - least) / size) if size else least


def _low(what: str, share: float, least: float) -> Iterator[str]:
    if share < least:
        yield f"{what} {share:.1%}, not {least:.0%} or more"

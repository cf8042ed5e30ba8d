"""`tito milestone list` and `tito milestone run`, on small programs that stand on a small course."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tito import state as progress
from tito.cli import main
from tito.course import Course
from tito.errors import ExitCode
from tito.milestones import find, standings

from .conftest import REPOSITORY, Answer, Edition, Terminal

Typed = Callable[..., Answer]
HELPER = '''"""Helps."""
import argparse, json, sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parents[1]))
import tinytorch as tt

def finish(number, name, value, bar):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--bar", type=int, default=bar)
    options = parser.parse_args()
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError:
        print("error: cannot be written", file=sys.stderr)
        return 3
    passed = value >= options.bar
    bars = [{"what": "answer", "value": value, "passed": passed, "bound": f"at least {options.bar}", "text": f"answer: {value}"}]
    result = {"schema_version": 1, "milestone": number, "name": name, "seed": options.seed, "passed": passed, "bars": bars}
    (options.output / f"{number:02d}_{name}.json").write_text(json.dumps(result), encoding="utf-8")
    print(f"answer {value}")
    if not passed:
        print("error: the bar was missed", file=sys.stderr)
    return 0 if passed else 1
'''
DOUBLE = '''"""1950: twice two is four.

A story.
"""
import sys
from helper import finish
import tinytorch as tt
if __name__ == "__main__":
    sys.exit(finish(1, "double", tt.twice(2), 4))
'''
FOURFOLD = '''"""1960: four times two, and this title is so long that no line of eighty columns could ever hold it."""
import sys
from helper import finish
from tinytorch.core.beta import fourfold
if __name__ == "__main__":
    sys.exit(finish(2, "fourfold", fourfold(2), 8))
'''


@pytest.fixture
def course(edition: Edition) -> Edition:
    folder = edition.root / "milestones"
    folder.mkdir()
    for name, text in (("helper.py", HELPER), ("01_double.py", DOUBLE), ("02_fourfold.py", FOURFOLD), ("notes.txt", "")):
        (folder / name).write_text(text, encoding="utf-8")
    return edition


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str]) -> Typed:
    """Type a command: what it and the program that it runs have printed."""
    def run(*arguments: str) -> Answer:
        capfd.readouterr()
        code = main(list(arguments))
        return Answer(int(code), *capfd.readouterr())
    return run


@pytest.fixture
def alpha(course: Edition, typed: Typed) -> Edition:
    """The first module is complete."""
    course.solve(1)
    assert typed("module", "complete", "01").code == 0
    return course


def write(course: Edition, name: str, text: str) -> None:
    (course.root / "milestones" / name).write_text(text, encoding="utf-8")


def test_the_list_tells_what_each_needs(course: Edition, typed: Typed) -> None:
    assert typed("milestone", "list").out.splitlines() == [
        "1 double    1950  needs 01-01  locked  twice two is four", "  missing: 01",
        "2 fourfold  1960  needs 01-02  locked  four times two, and this title is so ...", "  missing: 01, 02"]


def test_a_milestone_is_run_and_recorded(alpha: Edition, typed: Typed) -> None:
    answer = typed("milestone", "run", "1", "--seed", "7")
    assert answer.code == 0 and answer.err == ""
    assert answer.out.splitlines() == ["answer 4", "", "milestone 1 double passed", "next: tito module start 02"]
    passed = progress.load(Course(alpha.root)).milestones["01_double"]
    assert passed.seed == 7 and passed.bars == ("answer: 4",)
    lines = typed("milestone", "list").out.splitlines()
    assert "passed" in lines[0] and lines[1] == f"  {passed.when[:10]}: answer: 4"
    assert (alpha.root / "build/milestones/01_double.json").is_file()


def test_what_is_recorded_outlives_the_other_commands(alpha: Edition, typed: Typed) -> None:
    typed("milestone", "run", "1")
    kept = progress.load(Course(alpha.root)).milestones
    assert kept
    for arguments in (["module", "start", "02", "--no-open"], ["module", "undo", "01"], ["module", "status", "--rebuild"]):
        assert typed(*arguments).code == 0
        assert progress.load(Course(alpha.root)).milestones == kept


def test_what_was_passed_on_something_else_is_not_recorded(alpha: Edition, typed: Typed) -> None:
    helper = alpha.root / "milestones" / "helper.py"
    helper.write_text(helper.read_text(encoding="utf-8").replace('"bars": bars}', '"bars": bars, "instead": "this was the short form"}'),
                      encoding="utf-8")
    answer = typed("milestone", "run", "1")
    assert answer.code == 0 and "not recorded: this was the short form" in answer.out + answer.err
    assert not progress.load(Course(alpha.root)).milestones


def test_a_missed_bar(alpha: Edition, typed: Typed) -> None:
    write(alpha, "01_double.py", DOUBLE.replace("4))", "5))"))
    answer = typed("milestone", "run", "double")
    assert answer == Answer(ExitCode.CHECKS_FAILED, "answer 4\n", "error: the bar was missed\n")
    assert not progress.load(Course(alpha.root)).milestones


def test_json(alpha: Edition, typed: Typed) -> None:
    answer = typed("milestone", "run", "1", "--json")
    data = answer.json
    assert (data["schema_version"], data["command"], data["exit_code"], data["milestone"]) == (1, "milestone run", 0, "1 double")
    assert data["passed"] and data["result"]["bars"][0]["value"] == 4
    assert "answer 4" in answer.err                                    # the page goes where progress goes
    first, second = typed("milestone", "list", "--json").json["milestones"]
    assert first == {"number": 1, "name": "double", "year": 1950, "title": "twice two is four", "needs": [1], "missing": [],
                     "state": "passed", "passed": first["passed"]}
    assert first["passed"]["bars"] == ["answer: 4"] and (second["missing"], second["passed"]) == ([2], None)


def test_missing_modules(alpha: Edition, typed: Typed) -> None:
    answer = typed("milestone", "run", "2")
    assert answer.code == ExitCode.USAGE and answer.out == ""
    assert answer.err.splitlines() == ["error: milestone 2 fourfold needs module 02 beta, which is not complete",
                                       "fix:   go on with: tito module start 02"]


@pytest.mark.parametrize(("arguments", "said"), [
    (["run", "9"], "milestones go from 1 to 2"), (["run", "duoble"], "did you mean double?"), (["run", "²"], "milestones go from"),
    (["run", "1", "--seed", "x"], "--seed x is not a whole number"), (["run", "1", "--seed", "-1"], "--seed -1"), (["run"], "--help"),
    (["rnu"], "--help")])
def test_what_is_not_understood(alpha: Edition, typed: Typed, arguments: list[str], said: str) -> None:
    answer = typed("milestone", *arguments)
    assert answer.code == ExitCode.USAGE and said in answer.err and "Traceback" not in answer.err


def test_an_output_folder_that_cannot_be_written(alpha: Edition, typed: Typed) -> None:
    (alpha.root / "a file").write_text("", encoding="utf-8")
    answer = typed("milestone", "run", "1", "--output", "a file")
    assert answer == Answer(ExitCode.ENVIRONMENT, "", "error: cannot be written\n")


def test_what_follows_two_dashes_is_the_programs_own(alpha: Edition, typed: Typed) -> None:
    assert typed("milestone", "run", "1", "--", "--bar", "5").code == ExitCode.CHECKS_FAILED


def test_a_program_that_says_nothing_has_not_passed(alpha: Edition, typed: Typed) -> None:
    write(alpha, "01_double.py", '"""1950: nothing."""\nimport tinytorch as tt\ntt.twice\n')
    answer = typed("milestone", "run", "1")
    assert answer.code == ExitCode.INFRASTRUCTURE and "wrote no result" in answer.err
    assert not progress.load(Course(alpha.root)).milestones


@pytest.mark.parametrize(("text", "said"), [("def", "cannot be read"), ('"""No year."""\n', "does not say its year")])
def test_a_file_that_cannot_be_understood(alpha: Edition, typed: Typed, text: str, said: str) -> None:
    write(alpha, "02_fourfold.py", text)
    answer = typed("milestone", "list")
    assert answer.code == ExitCode.INTEGRITY and said in answer.err and "milestones/02_fourfold.py" in answer.err
    assert typed().code == 0


def test_a_name_that_no_module_has(alpha: Edition, typed: Typed) -> None:
    write(alpha, "02_fourfold.py", '"""1960: too much."""\nimport tinytorch as tt\ntt.eightfold\n')
    answer = typed("milestone", "run", "2")
    assert answer.code == ExitCode.USAGE and "no module of this course has: eightfold" in answer.err


@pytest.mark.parametrize(("text", "last"), [
    ("import tinytorch as t\nt.fourfold", 2), ("import tinytorch\ntinytorch.twice", 1), ("from tinytorch import fourfold", 2),
    ("import tinytorch.core.gamma", 3), ("from tinytorch.core import beta", 2), ("from tinytorch.core.alpha import half", 1),
    ("import tinytorch as tt\ntt.core.beta.fourfold", 2), ("import tinytorch as tt\ntt.twice.fourfold", 1), ("fourfold = 1", 0),
    ("import helper", 0), ("import lib", 3)])
def test_needs_are_read_from_names(course: Edition, text: str, last: int) -> None:
    write(course, "lib.py", "from tinytorch import gamma\n")
    write(course, "03_try.py", f'"""1970: try."""\n{text}\n')
    there = Course(course.root)
    [found] = [s for s in standings(there, progress.State()) if s.milestone.number == 3]
    assert found.needs == tuple(range(1, last + 1)) and found.unknown == ()


def test_alone_tito_tells_of_a_milestone_within_reach(alpha: Edition, typed: Typed) -> None:
    assert "milestone 1 double is within reach: tito milestone run 1" in typed().out.splitlines()
    typed("milestone", "run", "1")
    assert "within reach" not in typed().out


def test_without_milestones(edition: Edition, typed: Typed) -> None:
    assert typed("milestone", "list").out == ""
    answer = typed("milestone", "run", "1")
    assert answer.code == ExitCode.USAGE and "missing or empty" in answer.err


@pytest.mark.parametrize("arguments", [["milestone", "list"], ["milestone", "--help"], ["milestone", "run", "--help"]])
def test_eighty_columns_and_no_colour(alpha: Edition, terminal: Callable[[], tuple[Terminal, Terminal]],
                                      monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    out, _ = terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(arguments) == 0
    assert "\x1b" not in out.getvalue() and max(map(len, out.getvalue().splitlines())) <= 80


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize("deaf", [False, True], ids=["it ends", "it does not listen"])
def test_ctrl_c_ends_the_program_too(alpha: Edition, deaf: bool) -> None:
    ignored = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if deaf else ""
    write(alpha, "01_double.py", '"""1950: for ever."""\nimport os, time\nfrom pathlib import Path\nimport tinytorch as tt\ntt.twice\n'
          f'{ignored}Path("pid").write_text(str(os.getpid()))\ntime.sleep(60)\n')
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TITO_BOOTSTRAP": "0"}
    code = "import tito.milestones as m, sys; m.PATIENCE = 0.5; from tito.cli import main; sys.exit(main(['milestone', 'run', '1']))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=alpha.root, env=environment, stderr=subprocess.PIPE, encoding="utf-8")
    pid, began = alpha.root / "pid", time.monotonic()
    while not (pid.exists() and pid.read_text(encoding="utf-8")) and time.monotonic() < began + 30:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)                          # to tito alone, as `kill -INT` does
    _, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.INTERRUPTED and err == "interrupted\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text(encoding="utf-8")), 0)
    assert not progress.load(Course(alpha.root)).milestones


def test_those_of_the_course_say_what_they_need() -> None:
    course = Course(REPOSITORY)
    found = list(standings(course, progress.State()))
    assert [s.milestone.name for s in found] == ["perceptron", "xor", "mlp", "cnn", "transformer", "olympics"]
    assert [s.milestone.heading[0] for s in found] == [1957, 1969, 1986, 1998, 2017, 2018]
    assert [s.unknown for s in found] == [()] * 6
    assert [s.needs[-1] for s in found] == [5, 5, 8, 9, 13, 19]
    assert [s.milestone.short for s in found] == [(), (), (), (), ("--quick",), ("--quick",)]
    assert find(course, "04_cnn").path == Path(REPOSITORY, "milestones", "04_cnn.py")

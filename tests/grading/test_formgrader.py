"""Written answers are graded in nbgrader's own page, in a browser; nothing of a student's runs there, and nothing is left when it ends."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from grading.assignment import Assignment
from grading.book import formgrader as page_module
from grading.book.facts import Facts
from grading.book.formgrader import formgrader
from grading.book.gradebook import opened
from grading.book.record import facts, record, recorder
from grading.book.shield import markdown
from grading.term import Term
from tests.grading.handed import copied, hand_in, shelf, verdict, written  # noqa: F401    # a fixture
from tito.errors import ExitCode, TitoError

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SERVE = ("import sys; from pathlib import Path; from tito.course import Course; from grading.term import Term; "
         "from grading.book.formgrader import formgrader; "
         "sys.exit(formgrader(Term.open(Course(Path(sys.argv[1]))), browser=False, options=['--allow-root']))")
ROOT = Path(__file__).parents[2]
ATTACKS = {
    "script": "<script>document.title = 'stolen'</script>",
    "handler": "<img src=x onerror=\"document.title = 'stolen'\">",
    "diagram": "```mermaid\n</pre><script>document.title = 'stolen'</script>\n```",
    "vector": "<svg onload=\"document.title = 'stolen'\"></svg>",
    "frame": "<iframe srcdoc=\"<script>parent.document.title = 'stolen'</script>\"></iframe>",
    "attachment": "![gone](attachment:gone.png) <script>document.title = 'stolen'</script>",
}


# ---- without a browser -----------------------------------------------------------------------------

@pytest.mark.parametrize("text", [*ATTACKS.values(), "[a](javascript:alert(1))", "<a href='data:text/html,x'>a</a>", "<form action=/x>",
                                  "<style>*{display:none}</style>", "<base href=//evil>", "![x](http://evil/pixel.png)", "<p style='x'>"])
def test_what_students_write_is_shown_and_not_run(text: str) -> None:
    shown = markdown({"cell": {}}, text)
    for word in ("<script", ' onerror="', "<svg", "<iframe", "javascript:", 'href="data', "<form", "<style", "<base", 'src="h', "style="):
        assert word not in shown.replace("&lt;", "&"), shown


def test_what_is_harmless_looks_as_it_should() -> None:
    text = "## Head\n\n*one* `x<y` $a<b$ [link](https://example.org) ![pic](attachment:a.png)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    shown = markdown({"cell": {"attachments": {"a.png": {"image/png": "QUJD"}}}}, text)
    for part in ("<h2", "<em>one</em>", "<code>x&lt;y</code>", "$a&lt;b$", 'href="https://example.org"', 'src="data:image/png;base64,QUJD"',
                 "<td>1</td>"):
        assert part in shown


def test_root_has_to_say_that_it_knows(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    with pytest.raises(TitoError, match="does not start for root") as caught:
        formgrader(copied(shelf, tmp_path), browser=False)
    assert "--allow-root" in caught.value.fix


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script in JupyterLab's place."""
    def install(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\nimport json, os, pathlib, signal, sys, time\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setattr(page_module.sys, "executable", str(path))

    return install


def test_a_server_that_does_not_start_says_why(shelf: Path, tmp_path: Path, pretended: Callable[[str], None]) -> None:  # noqa: F811
    pretended("sys.exit('no available port could be found')")
    with pytest.raises(TitoError, match="does not start") as caught:
        formgrader(copied(shelf, tmp_path / "t"), browser=False, options=["--allow-root"], port=1)
    assert "no available port" in caught.value.why and caught.value.code == ExitCode.ENVIRONMENT


LISTENING = """
settings = json.loads(pathlib.Path("config/jupyter_server_config.json").read_text())
runtime = pathlib.Path(os.environ["JUPYTER_RUNTIME_DIR"])
runtime.mkdir()
server = {"url": "http://127.0.0.1:1/", "token": settings["IdentityProvider"]["token"]}
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_it_ends_when_it_is_asked_to(name: str, shelf: Path, tmp_path: Path, pretended: Callable[[str], None]) -> None:  # noqa: F811
    pretended(LISTENING + f"""
pathlib.Path({str(tmp_path / "pid")!r}).write_text(f"{{os.getpid()}} {{pathlib.Path.cwd()}}")
(runtime / "jpserver-1.json").write_text(json.dumps(server))
time.sleep(60)
""")
    before = signal.getsignal(signal.SIGTERM)
    began = time.monotonic()
    term = copied(shelf, tmp_path / "t")
    assert formgrader(term, browser=False, options=["--allow-root"], say=lambda _: os.kill(os.getpid(), getattr(signal, name))) == 0
    pid, _, home = (tmp_path / "pid").read_text(encoding="utf-8").partition(" ")
    assert not Path("/proc", pid).exists() and not Path(home).exists()
    assert signal.getsignal(signal.SIGTERM) == before and time.monotonic() - began < 30


def test_its_settings_are_for_this_machine_alone_and_go_with_it(shelf: Path, tmp_path: Path,  # noqa: F811
                                                                 pretended: Callable[[str], None]) -> None:
    pretended(LISTENING + f"""
home = pathlib.Path.cwd()
names = "JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTERLAB_SETTINGS_DIR JUPYTERLAB_WORKSPACES_DIR IPYTHONDIR".split()
facts = dict(settings, home=str(home), mode=home.stat().st_mode, places=[os.environ[name] for name in names],
             nbgrader=(home / "config/nbgrader_config.py").read_text())
pathlib.Path({str(tmp_path / "seen")!r}).write_text(json.dumps(facts))
(runtime / "jpserver-1.json").write_text(json.dumps(server))
time.sleep(0.4)
""")
    said: list[str] = []
    term = copied(shelf, tmp_path / "t")
    assert formgrader(term, browser=False, options=["--allow-root"], say=said.append) == 0
    seen = json.loads((tmp_path / "seen").read_text(encoding="utf-8"))
    assert seen["ServerApp"]["ip"] == "127.0.0.1" and seen["ServerApp"]["root_dir"] == str(term.folder)
    assert len(seen["IdentityProvider"]["token"]) == 48 and seen["IdentityProvider"]["token"] in said[0]
    assert stat.S_IMODE(seen["mode"]) == 0o700 and all(place.startswith(seen["home"]) for place in seen["places"])
    assert not Path(seen["home"]).exists() and repr(term.database) in seen["nbgrader"]


# ---- in a browser ----------------------------------------------------------------------------------

@dataclass
class Served:
    """A term's formgrader while it runs, with a browser in front of it."""

    term: Term
    base: str
    token: str
    page: Any

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.base}/formgrader{path}")
        self.page.wait_for_load_state("networkidle")
        return self.page

    def submission(self, student: str) -> Any:
        """The page shows numbers for names, until one asks for them."""
        link = self.open("/gradebook/01_counting/counting_dev").locator("a.name-shown", has_text=student)
        return self.open(link.get_attribute("href").removeprefix("/formgrader"))

    def facts(self, student: str) -> Facts:
        with opened(self.term) as gradebook:
            return next(f for f in facts(self.term, gradebook, self.term.course.modules[0]) if f.student == student)

    def shot(self, name: str) -> None:
        """A picture, for people, where they ask for one."""
        if folder := os.environ.get("TITO_SCREENSHOTS"):
            self.page.screenshot(path=str(Path(folder) / f"formgrader-{name}.png"), full_page=True)


@pytest.fixture(scope="module")
def served(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:  # noqa: F811
    """One server for all of these; when it has ended, there is nothing left of it."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    from playwright.sync_api import sync_playwright
    term = copied(shelf, tmp_path_factory.mktemp("formgrader"))
    with term.path("students.csv").open("a", encoding="utf-8") as file:
        file.write("eve,Eve Attacker,,\n")
    hand_in_everything(term)
    home, scratch = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("scratch")
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(term.course.root)], cwd=ROOT, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "HOME": str(home), "TMPDIR": str(scratch), "TITO_BOOTSTRAP": "0"}, start_new_session=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = urlsplit(line.split()[-1])
        assert address.hostname == "127.0.0.1", line + process.stderr.read()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.route("**/*", lambda route: route.continue_() if urlsplit(route.request.url).hostname == "127.0.0.1" else route.abort())
            page.set_default_timeout(20_000)
            page.goto(line.split()[-1])
            yield Served(term, f"http://{address.netloc}", address.query.removeprefix("token="), page)
            browser.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        with socket.socket() as door:
            assert door.connect_ex(("127.0.0.1", address.port or 0)) != 0
        assert not group(process.pid) and not list(home.rglob("*")) and not list(scratch.glob("tito-*"))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def group(leader: int) -> list[str]:
    """The processes that still belong to a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
        except OSError:
            continue
        if rest.split()[3] == str(leader) and rest.split()[0] != "Z":
            found.append(name)
    return found


def hand_in_everything(term: Term) -> None:
    """Ada has a wrong mean and an answer, Ben could not be judged, Cleo is not judged yet, Eve attacks."""
    assignment = Assignment.current(term, term.course.modules[0])
    answer = written(assignment, "When a few numbers are *far away*: if $a < b$, say `x<y`.")
    with recorder(term) as enter:
        for student, notebook, states in (("ada", answer, {"test_mean": "failed"}), ("ben", None, {"test_mean": "infra"}),
                                          ("eve", attacking(assignment), {})):
            version = hand_in(term, assignment, student, notebook)
            enter(assignment, version, verdict(term, assignment, version, **states))
    hand_in(term, assignment, "cleo")


def attacking(assignment: Assignment) -> dict[str, Any]:
    """Every attack in a cell of its own, all of them in the answer, and one where nbconvert expects HTML."""
    notebook = written(assignment, "\n\n".join(ATTACKS.values()))
    notebook["cells"] += [{"cell_type": "markdown", "id": name, "metadata": {}, "source": text} for name, text in ATTACKS.items()]
    notebook["cells"].append({"cell_type": "raw", "id": "raw", "metadata": {}, "source": ATTACKS["script"]})
    return notebook


def until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def enter(page: Any, fields: dict[str, str], saved: Callable[[], bool]) -> None:
    """Type as a person does, who types again where the page was not ready to take it."""
    page.wait_for_load_state("networkidle")
    for _ in range(4):
        for field, text in fields.items():
            page.fill(field, "")
            page.fill(field, text)
            page.press(field, "Tab")
        if until(saved, 10.0):
            return
    raise AssertionError(f"what was entered was not saved: {[page.input_value(field) for field in fields]}")


def test_the_page_lists_assignments_and_submissions(served: Served) -> None:
    assert served.open("/manage_assignments").get_by_text("01_counting").first.is_visible()
    served.shot("assignments")
    rows = served.open("/manage_submissions/01_counting").locator("tbody tr").all_inner_texts()
    served.shot("submissions")
    assert [(row.split("\t")[0], row.split("\t")[3].strip()) for row in rows] == [
        ("Attacker, Eve", "needs manual grading"), ("Lovelace, Ada", "needs manual grading"), ("Müller, Ben", "needs manual grading"),
        ("O'Hara, Cleo", "needs autograding")]


def test_a_stranger_is_not_let_in(served: Served) -> None:
    from urllib.request import urlopen
    for query, known in (("", False), ("?token=0", False), (f"?token={served.token}", True)):
        with urlopen(f"{served.base}/formgrader/api/assignments{query}", timeout=10) as answer:
            assert (b"01_counting" in answer.read()) is known


def test_an_answer_is_graded_and_the_points_are_facts_that_stay(served: Served) -> None:
    page = served.submission("Lovelace, Ada")
    served.shot("before")
    assert page.get_by_text("When a few numbers are far away").is_visible() and "FAILED  0 of 4" in page.content()
    enter(page, {"#why-mean": "4.5", "#why-mean_extra_credit": "1", "#why-mean-comment": "Say how far."},
          lambda: bool(served.facts("ada").comments) and bool(served.facts("ada").extra) and bool(served.facts("ada").manual_scores))
    served.shot("graded")
    known = served.facts("ada")
    assert (known.manual_scores, known.extra, known.comments) == ({"why-mean": 4.5}, {"why-mean": 1.0}, {"why-mean": "Say how far."})
    rows = served.open("/manage_submissions/01_counting").locator("tbody tr").all_inner_texts()
    assert rows[1].split("\t")[3].strip() == "graded" and rows[1].split("\t")[4].strip() == "11.5 / 15"

    assignment = Assignment.current(served.term, served.term.course.modules[0])
    version = hand_in(served.term, assignment, "ada", written(assignment, "When a few numbers are *far away*: if $a < b$, say `x<y`."))
    with opened(served.term) as gradebook:
        assert record(served.term, gradebook, assignment, verdict(served.term, assignment, version), version)
    again = served.facts("ada")
    assert (again.manual_scores, again.extra, again.comments) == (known.manual_scores, known.extra, known.comments)
    assert again.auto["test-mean"] == 4.0
    assert served.submission("Lovelace, Ada").input_value("#why-mean") == "4.5"


def test_what_could_not_be_judged_has_no_points_and_says_so(served: Served) -> None:
    page = served.submission("Müller, Ben")
    served.shot("infra")
    assert page.input_value("#test-mean") == "" and page.get_attribute("#test-mean", "placeholder") in ("", None)
    assert "INFRA" in page.content() and "could not be judged" in (page.get_attribute("#mean-comment", "placeholder") or "")


def test_an_answer_that_attacks_its_reader_does_nothing(served: Served) -> None:
    page = served.submission("Attacker, Eve")
    page.wait_for_timeout(300)
    served.shot("attack")
    assert page.title() == "counting_dev" and "stolen" in page.content()


def test_its_own_button_runs_nobodys_code(served: Served) -> None:
    folder = served.term.path("autograded", "ada", "01_counting", "counting_dev.ipynb")
    before = folder.read_bytes()
    page = served.open("/manage_submissions/01_counting")
    page.locator("tbody tr").nth(1).locator("td").nth(5).locator("a").click()
    page.get_by_text("sandbox only").first.wait_for(timeout=30_000, state="attached")
    served.shot("refused")
    assert folder.read_bytes() == before

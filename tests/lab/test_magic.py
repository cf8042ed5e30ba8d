"""`%tito` in a real kernel: the shell's words, for this notebook, as its cells were run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import HALF, REPOSITORY, TWICE, Answer, Edition, edition, installed, tito  # noqa: F401    # fixtures
from tito.cli import lab
from tito.course import Course

Tito = Callable[..., Answer]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """What JupyterLab is to a kernel: cells with their ids go in, text comes out."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        from jupyter_client.manager import start_new_kernel
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(folder))

    def run(self, source: str, cell: str = "new") -> str:
        """Run a cell; all that it says, without colours."""
        content = {"code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell})
        self.client.shell_channel.send(message)
        said = []
        while True:
            answer = self.client.get_iopub_msg(timeout=60)
            if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return ANSI.sub("", "".join(said))
            said.append(content["text"] if kind == "stream" else "\n".join(content["traceback"]) if kind == "error" else "")

    def offered(self, line: str) -> list[str]:
        """What Tab offers at the end of a line."""
        return list(self.client.complete(line, reply=True, timeout=60)["content"]["matches"])

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(edition: Edition, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kernel]:  # noqa: F811
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    kernel = Kernel(edition.notebook(1).parent, lab.environment(Course(edition.root)))
    try:
        kernel.run("import tito.notebook\ntito.notebook.use(1)", "start")
        yield kernel
    finally:
        kernel.end()


def answer(name: str, body: str) -> str:
    return f"#| export\ndef {name}(x):\n{body}"


def test_it_says_what_the_shell_says(edition: Edition, kernel: Kernel, tito: Tito) -> None:  # noqa: F811
    edition.write(1, "twice", TWICE)
    for words in ("test", "test --all", "test 01", "module test 1 --json", "status", "", "test tensro", "nonsense", "test 02"):
        given = words.replace("test", "module test").replace("module module", "module").replace("status", "module status").split()
        given += ["01"] * (words in ("test", "test --all"))
        shell = tito(*given)
        said = kernel.run(f"%tito {words}").replace("%tito test", "tito module test 01")
        said = re.sub(r"\b(python3|py) -m tito\b", "tito", said)
        assert [line.rstrip() for line in said.splitlines()] == [line.rstrip() for line in (shell.out + shell.err).splitlines()], words


def test_cells_that_were_run_count_before_they_are_saved(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    kernel.run(answer("twice", TWICE), "twice")
    assert "run but" not in kernel.run("%tito test 02")
    said = kernel.run("%tito test")
    assert re.search(r"passed +4/4  Twice", said) and re.search(r"to write +0/6  Half", said)
    assert "note: 1 cell was run but is not saved yet: save with Ctrl+S (Cmd+S)\n" in said
    kernel.run("helper = 1", "another")
    said = kernel.run("%tito test")
    assert "2 cells were run but are not saved yet: save with Ctrl+S (Cmd+S); 1 of them new" in " ".join(said.split())
    kernel.run(answer("half", HALF), "half")
    kernel.run("%cd /")
    assert "10 of 10 points" in kernel.run("import tito.notebook\ntito.notebook.use(1)\n%tito test", "start")
    assert "next: %tito complete" in kernel.run("%tito test")
    edition.write(1, "twice", "    return 3 * x\n")                          # saved by an editor: now the file is what counts
    said = kernel.run("%tito test")
    assert re.search(r"failed +0/4  Twice", said) and "run but" not in said


def test_what_takes_the_file_wants_it_saved(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    commands = ("complete", "module complete 01", "submit --name Ada")
    edition.write(1, "half", HALF)
    before = edition.files()
    kernel.run(answer("twice", TWICE), "twice")
    for words in commands:
        said = kernel.run(f"%tito {words}")
        assert said.startswith("error: 1 cell was run but is not saved yet\nwhy:   ") and "save with Ctrl+S (Cmd+S)" in said
    assert edition.files() == before
    edition.write(1, "twice", TWICE)
    assert not [words for words in commands if "error" in kernel.run(f"%tito {words}")]
    assert edition.files().keys() > before.keys()


def test_a_copy_of_the_notebook_is_not_taken_for_it(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    kernel.run("import os; os.environ['JPY_SESSION_NAME'] = '/home/me/alpha_dev-Copy1.ipynb'")
    kernel.run(answer("twice", TWICE), "twice")
    said = kernel.run("%tito test")
    assert re.search(r"to write +0/4  Twice", said)
    assert "note: this notebook is alpha_dev-Copy1.ipynb; what is looked at is alpha_dev.ipynb" in " ".join(said.split())


def test_what_belongs_in_a_terminal_says_so(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    for words, typed in (("start", "tito module start 01"), ("module open 2", "tito module open 2"),
                         ("undo --list", "tito module undo 01 --list"), ("demo", "tito demo")):
        said = re.sub(r"\b(python3|py) -m tito\b", "tito", kernel.run(f"%tito {words}"))
        assert re.match(r"error: tito \w+ belongs in a terminal\nwhy:   it .+\nfix:   in a terminal: " + typed + "\n$", said), said
    assert {"test", "complete", "status"} <= set(kernel.offered("%tito ")) and "start" not in kernel.offered("%tito ")
    assert kernel.offered("%tito te") == ["test"]


def test_a_notebook_that_is_broken_is_one_error(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    kernel.run(answer("twice", TWICE), "twice")
    edition.notebook(1).write_text("{", encoding="utf-8")
    said = kernel.run("%tito test")
    assert said.startswith("error: ") and "Traceback" not in said
    edition.notebook(1).unlink()
    assert kernel.run("%tito test").startswith("error: ") and "Traceback" not in kernel.run("%tito 'test")


def test_cells_whose_ids_are_not_known_are_as_they_are_saved(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    for cell in ("", "vscode-notebook-cell:/home/me/alpha_dev.ipynb#W0sZmlsZQ"):
        kernel.run(answer("twice", TWICE), cell)
    assert "run but" not in kernel.run("%tito test", "")


def test_a_cell_may_test_itself(edition: Edition, kernel: Kernel) -> None:  # noqa: F811
    assert re.search(r"passed +4/4  Twice", kernel.run(f"{answer('twice', TWICE)}\n%tito test", "twice"))

"""The process that runs a notebook: a job on stdin, one JSON line on stdout for every cell that starts and ends.

    {"event": "ready"}  {"event": "start", "cell": 3}  {"event": "end", "cell": 3, "row": {...}, "blame": ""}  {"event": "done"}

Where the job says `ask`, a second line on stdin then holds the probes, and each question is answered with its raw value:

    {"event": "asked", "n": 0}  {"event": "answer", "n": 0, "value": [...]}  {"event": "answered"}

All ungraded code cells but `analysis` run in order in one namespace; one that raises is reported and passed over.  Graded cells give rows.
Whatever a student's code does to stdout, stdin or the interpreter, it cannot put a word into these lines by accident.
"""

from __future__ import annotations

import ast
import gc
import linecache
import os
import queue
import re
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from json import dumps, loads  # names of our own: a student may assign json.dumps
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

from tito.cells import Cell, Document

MAGIC = re.compile(r"^\s*(?:[%!]|\w[\w, ]*=\s*[%!])|^\s*\??\w[\w.]*\?{1,2}\s*$|^\s*\?", re.MULTILINE)
AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class Wire:
    """The line to the parent, apart from every stream that the student's code can see."""

    def __init__(self) -> None:
        self.pid, self.lock = os.getpid(), threading.Lock()
        self.out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")

    def send(self, event: str, **facts: Any) -> None:
        if os.getpid() != self.pid:                     # a fork that ran on into our code
            os._exit(0)
        with self.lock:
            self.out.write(dumps({"event": event, **facts}) + "\n")
            self.out.flush()


class Told:
    """What the parent tells, line by line; where it is gone, so is this process, whatever its notebook is at."""

    def __init__(self) -> None:
        self.given = os.fdopen(os.dup(0), encoding="utf-8")     # `silence` takes stdin away
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def line(self) -> str:
        return self.lines.get()

    def _read(self) -> None:
        for line in self.given:
            self.lines.put(line)
        os._exit(1)


class Watch:
    """Reports a cell that is still at work after its time, with the place where it is; the parent ends this process."""

    def __init__(self, seconds: float, report: Callable[[Cell], None]):
        self.seconds, self.report = seconds, report
        self.cell: Cell | None = None
        self.since = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            sleep(min(0.25, self.seconds / 4))
            cell = self.cell
            if cell is not None and monotonic() - self.since > self.seconds:
                self.cell = None
                self.report(cell)


@dataclass
class Cells:
    """A document's cells, run one after the other in one namespace, and what is told of each."""

    document: Document
    module: str
    expect: types.ModuleType
    space: dict[str, Any] = field(default_factory=dict)
    left_out: dict[int, tuple[str, str]] = field(default_factory=dict)      # index: (state, what happened) in an earlier pass
    ran: list[tuple[str, BaseException | None]] = field(default_factory=list)
    shell: Any = None
    limit: int = field(default_factory=sys.getrecursionlimit)

    @property
    def judged(self) -> list[Cell]:
        """The cells that are run: all code but analysis and written answers."""
        return [c for c in self.document.code if not (c.analysis or c.manual) and c.source.strip()]

    def one(self, cell: Cell) -> BaseException | None:
        """Run one cell; the exception that arose in it."""
        from tito.check.reason import LeftOut
        self._restore(cell)
        if cell.index in self.left_out:
            error: BaseException | None = LeftOut(*self.left_out[cell.index])
        else:
            error = self._execute(cell)
        if not cell.test:
            self.ran.append((cell.source, error))
        return error

    def _execute(self, cell: Cell) -> BaseException | None:
        try:
            exec_cell(cell, self.space, self._ipython)
        except BaseException as error:                  # also SystemExit, KeyboardInterrupt, and what derives from neither
            return error
        return None

    def _ipython(self) -> Any:
        if self.shell is None:
            from tito.check.shell import make_shell
            self.shell = make_shell(sys.modules["__main__"])
        return self.shell

    def _restore(self, cell: Cell) -> None:
        """Mend what an earlier cell may have broken and no later one should pay for."""
        sys.setrecursionlimit(self.limit)
        quiet(sys.stdout is None or sys.stdout.closed, sys.stderr is None or sys.stderr.closed)
        if cell.test and "expect" in self.space:
            self.space["expect"] = self.expect

    def told(self, cell: Cell, error: BaseException | None) -> dict[str, Any]:
        """A test's row and the blame for it; of another cell that raised, what is amiss."""
        if not cell.test:
            return {"trouble": self._trouble(error, cell) if error is not None and "raises-exception" not in cell.tags else None}
        from tito.check.row import blank
        if error is None:
            return {"row": blank(cell, self.module).to_dict(), "blame": ""}
        try:
            from tito.check.reason import explain
            row, blame = explain(error, blank(cell, self.module, "failed"), cell, self.document, self.ran)
        except (Exception, SystemExit) as slip:         # our own slip must not hide that the cell raised
            row, blame = blank(cell, self.module, "error"), ""
            row.got = f"{type(error).__name__} (which could not be told further: {type(slip).__name__})"
        return {"row": row.to_dict(), "blame": blame}

    def _trouble(self, error: BaseException, cell: Cell) -> dict[str, Any]:
        from tito.check.reason import elsewhere, trouble_text
        text, line = trouble_text(error, cell, self.document)
        place = elsewhere(error, cell, self.document)
        return {"error": f"{text}, {place}" if place else text, "line": line}


@dataclass
class Run(Cells):
    """One pass over a document, told on the wire as it goes."""

    wire: Wire = field(kw_only=True)
    seconds: float = field(kw_only=True)
    thread: int = field(default_factory=threading.get_ident)

    def all(self) -> None:
        watch = Watch(self.seconds, self._late)
        for cell in self.judged:
            self.wire.send("start", cell=cell.index)
            watch.since, watch.cell = monotonic(), cell
            error = self.one(cell)
            watch.cell = None
            self.wire.send("end", cell=cell.index, **self.told(cell, error))
        self.wire.send("done")

    def answer(self, probes: str, asked: list[tuple[int, int]]) -> None:
        """What each probe gives: asked is (which probe, seed).  Nothing is compared here."""
        import tinytorch
        from tito.check import probing, values
        known, view = probing.defined(probes, probing.Probe), probing.View(self.space, tinytorch)
        for n, (which, seed) in enumerate(asked):
            self.wire.send("asked", n=n)
            try:
                said: dict[str, Any] = {"value": values.pack(known[which].values(view, seed))}
            except BaseException as error:
                said = {"error": type(error).__name__}
            self.wire.send("answer", n=n, **said)
        self.wire.send("answered")

    def _late(self, cell: Cell) -> None:
        from tito.check.reason import running
        from tito.check.row import blank
        row = None
        if cell.test:
            frame = sys._current_frames().get(self.thread)
            row = running(frame, blank(cell, self.module, "timeout"), cell, self.document, self.seconds).to_dict()
        self.wire.send("late", cell=cell.index, row=row)


def exec_cell(cell: Cell, space: dict[str, Any], ipython: Callable[[], Any]) -> None:
    """Run a cell as JupyterLab would; IPython is asked only where its syntax or its shell is needed."""
    file, source = f"<cell {cell.index + 1}>", cell.source
    if "get_ipython" in source:
        ipython()
    try:
        code = _compiled(source, file, 0)
    except SyntaxError:
        if MAGIC.search(source):
            source = ipython().transform_cell(source)
        code = _compiled(source, file, AWAIT)
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    if code.co_flags & 0x80:                            # CO_COROUTINE: top-level await
        import asyncio
        asyncio.run(types.FunctionType(code, space)())
    else:
        exec(code, space)


def _compiled(source: str, file: str, flags: int) -> types.CodeType:
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    return compile(source, file, "exec", flags, dont_inherit=True)      # type: ignore[no-any-return]


def quiet(out: bool = True, err: bool = True) -> None:
    """Streams that swallow everything.  errors= lets any text through: a lone surrogate is no mistake."""
    if out:
        sys.stdout = sys.__stdout__ = Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace")   # type: ignore[misc]
    if err:
        sys.stderr = sys.__stderr__ = Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace")   # type: ignore[misc]


def silence() -> None:
    """The student's code sees no keyboard and no terminal, under the streams as well as in Python."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    sys.stdin = sys.__stdin__ = Path(os.devnull).open(encoding="utf-8")     # type: ignore[misc]
    quiet()


def read_job(text: str) -> tuple[dict[str, Any], Document]:
    job = loads(text)
    return job, Document.of(Path(job["name"]), job["cells"])


def main() -> None:
    told = Told()
    job, document = read_job(told.line())
    wire = Wire()
    try:
        import numpy  # noqa: F401  here, so that a broken installation is told apart from broken answers

        from tito import notebook
        from tito.check import expect
    except Exception as error:
        wire.send("infra", error=f"{type(error).__name__}: {error}")
        os._exit(0)
    sys.path[0] = job["root"]
    space = types.ModuleType("__main__")
    sys.modules["__main__"] = space
    silence()
    notebook.hide(job["root"], job["number"])
    gc.freeze()
    wire.send("ready")
    left_out = {int(k): (v[0], v[1]) for k, v in job["left_out"].items()}
    run = Run(document, job["module"], expect, space.__dict__, left_out, wire=wire, seconds=job["seconds"])
    run.all()
    if job["ask"]:
        run.answer(**loads(told.line()))
    os._exit(0)                                         # no thread, no atexit of the student's holds us up


if __name__ == "__main__":
    main()

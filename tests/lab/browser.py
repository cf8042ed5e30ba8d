"""A real JupyterLab, started as a student starts it, with Chromium in front of it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import soon

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PLACES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "IPYTHONDIR", "HOME")
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
READY = """([panel, idle, cells]) => document.querySelectorAll(`${panel} .jp-Notebook .jp-Cell`).length == cells
    && document.querySelector(`${panel} ${idle}`) !== null"""
RUN = """([panel, idle]) => {
    const cells = [...document.querySelectorAll(`${panel} .jp-CodeCell`)], said = c => c.querySelector('.jp-InputPrompt').textContent;
    const blank = c => !c.querySelector('.cm-content').textContent.trim();
    return !cells.some(c => said(c).includes('*')) && document.querySelector(`${panel} ${idle}`) !== null
        && (cells.every(c => /[0-9]/.test(said(c)) || blank(c))
            || document.querySelector(`${panel} [data-mime-type="application/vnd.jupyter.stderr"]`) !== null) }"""


def require() -> None:
    """Skip where there is nothing to click with."""
    for name in ("playwright", "jupyterlab"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium")


@dataclass
class Lab:
    """A folder's JupyterLab and the page that shows it."""

    root: Path
    base: str
    address: str                # as JupyterLab prints it for a person to open
    page: Any

    @property
    def panel(self) -> Any:
        """The notebook in front."""
        return self.page.locator(PANEL)

    def open(self, path: Path) -> None:
        """Go to a notebook (a path below the root), and wait until it and its kernel are there."""
        self.page.goto(f"{self.base}/lab/tree/{path.as_posix()}?reset&file-browser-path=/")
        self.arrived(path)

    def arrived(self, path: Path) -> None:
        self.whole(len(json.loads((self.root / path).read_text(encoding="utf-8"))["cells"]))

    def whole(self, cells: int) -> None:
        """Wait until so many cells are there, and a kernel that has nothing to do."""
        self.page.wait_for_function(READY, arg=[PANEL, IDLE, cells])

    def choose_kernel(self) -> None:
        """Wait for a notebook's kernel; JupyterLab may ask which one it is to be."""
        there, asks = self.panel.locator(".jp-Toolbar-kernelName", has_text="Python 3"), self.page.locator(".jp-Dialog .jp-mod-accept")
        there.or_(asks).first.wait_for()
        if asks.count():
            asks.click()
        there.wait_for()
        self.panel.locator(IDLE).wait_for()

    def cell(self, text: str) -> Any:
        """The code cell that holds this text."""
        return self.panel.locator(".jp-CodeCell", has=self.page.locator(".jp-InputArea", has_text=text))

    def menu(self, *names: str) -> None:
        self.page.locator(".lm-MenuBar-item", has_text=names[0]).first.click()
        for name in names[1:]:
            self.page.locator(".lm-Menu-item", has_text=name).first.click()

    def run(self, cell: Any) -> str:
        """Shift+Enter in a cell; what it printed."""
        cell.locator(".cm-content").click()
        prompt = cell.locator(".jp-InputPrompt").element_handle()
        prompt.evaluate("p => { p.textContent = '' }")      # it may have the same number again
        self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_function("p => /[0-9]/.test(p.textContent)", arg=prompt)
        return self.printed(cell)

    def printed(self, cell: Any) -> str:
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())

    def new_cell(self, text: str) -> Any:
        """Type a new cell at the end, and run it."""
        cells = self.panel.locator(".jp-Cell")
        count = cells.count()
        cells.last.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("b")
        new = cells.nth(count)                              # Shift+Enter makes another one below
        new.wait_for()
        self.page.keyboard.press("Enter")
        self.page.keyboard.type(text)
        self.run(new)
        return new

    def run_all(self) -> None:
        """Run, Restart Kernel and Run All Cells; wait until all have been run, or one has failed."""
        self.menu("Run", "Restart Kernel and Run All Cells")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")
        self.page.wait_for_function(RUN, arg=[PANEL, IDLE], timeout=600_000)

    def save(self, path: Path) -> Any:
        """Ctrl+S; the notebook as it is in the file then."""
        before = (self.root / path).stat().st_mtime_ns
        self.panel.locator(".jp-Cell").first.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+s")
        assert soon(lambda: (self.root / path).stat().st_mtime_ns != before, 60.0)
        self.page.locator(".jp-Document.jp-mod-dirty, .lm-TabBar-tab.jp-mod-dirty").wait_for(state="detached")
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def shot(self, name: str) -> None:
        """A picture, for people, where they ask for one."""
        if folder := os.environ.get("TITO_SCREENSHOTS"):
            self.page.screenshot(path=str(Path(folder) / f"lab-{name}.png"))


@contextmanager
def started(root: Path, scratch: Path, *words: str, python: str = sys.executable, **more: str) -> Iterator[Lab]:
    """`tito <words>` in a folder, with every folder of Jupyter's in `scratch`; at the end nothing of it is left."""
    require()
    from playwright.sync_api import sync_playwright
    environment = {**os.environ, **{name: str(scratch / name.lower()) for name in PLACES}, "TITO_BOOTSTRAP": "0", **more}
    environment.pop("PYTHONPATH", None)
    (scratch / "home").mkdir(parents=True)
    settings = scratch / "jupyterlab_settings_dir" / "@jupyterlab" / "docmanager-extension" / "plugin.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"autosave": false}', encoding="utf-8")        # a test saves when it means to
    port = _free_port()
    options = ["--", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    log = scratch / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen([python, "-m", "tito", *words, *options], cwd=root, env=environment, start_new_session=True,
                                   stdout=file, stderr=subprocess.STDOUT)
    try:
        assert soon(lambda: process.poll() is not None or _address(log), 60.0)
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(90_000)            # for a busy machine
            assert "/login" not in page.context.request.get(_address(log)).url      # its token lets us in, now and later
            yield Lab(root, f"http://127.0.0.1:{port}", _address(log), page)
            browser.close()
        process.terminate()
        assert process.wait(60) == 0
        assert soon(lambda: not _group(process.pid), 30.0), _group(process.pid)
        assert not _answers(port)
    finally:
        if _group(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _address(log: Path) -> str:
    """What JupyterLab has printed to be opened, or nothing yet."""
    found = re.findall(r"http://127\.0\.0\.1:\S+", log.read_text(encoding="utf-8"))
    return str(found[0]) if found else ""


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _group(leader: int) -> list[str]:
    """The processes that still belong to a session."""
    import psutil
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
        except (psutil.Error, OSError):
            continue
    return found

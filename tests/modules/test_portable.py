"""What every student's machine has: the sources use nothing that Linux, macOS or Windows lacks, and no file has a name that one refuses."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.modules.shelf import ROOT

SOURCES = sorted(p.relative_to(ROOT).as_posix() for folder in ("tito", "milestones", "tinytorch") for p in (ROOT / folder).rglob("*.py"))
ELSEWHERE = {"_curses", "_posixsubprocess", "_winapi", "crypt", "curses", "fcntl", "grp", "msvcrt", "nis", "nt", "ossaudiodev", "posix",
             "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty", "winreg", "winsound"}
LACKING = {
    "os": """chown chroot confstr ctermid eventfd fchdir fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg
        getpgid getpgrp getpriority getresuid getsid getuid getxattr initgroups killpg lchown lockf login_tty
        memfd_create mkfifo mknod nice openpty pipe2 posix_fadvise posix_spawn pread pwrite sched_getaffinity
        sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority setsid setuid
        startfile statvfs sync sysconf tcgetpgrp tcsetpgrp uname wait wait3 wait4 waitid WEXITSTATUS WIFEXITED
        WIFSIGNALED WTERMSIG""".split(),
    "signal": """SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH
        SIGXCPU alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigwait""".split(),
    "time": ["clock_gettime", "clock_settime", "pthread_getcpuclockid", "tzset"],
    "socket": ["AF_UNIX", "socketpair"], "sys": ["getwindowsversion"],
}
PLACES = re.compile(r"(/tmp|/dev|/proc|/etc|/usr|/var|/home|/bin|[A-Z]:\\)(/|\\|$)")
DATES = re.compile(r"%[-_#EO]|%[CDGPeghklnrstuxX+](?![\w.])")
MODE = re.compile(r"[rwax+bt]{1,3}")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# What looks like a fault and is none, and why.
MEANT = {
    ("tito/dev/edition.py", ".rename"): "a folder takes the place of one that was just removed; replace could not do more",
    ("tito/moves.py", ".rename"): "Windows refuses where there is something already, which replace would not",
    ("tito/dev/checks/worker.py", "*"): "for authors: `tito dev check` says that mutations cannot be tried on Windows",
    ("tinytorch/data/loader.py", "the place /dev/shm"): "used where it is there",
    ("tinytorch/applications/tinygpt.py", "text without its encoding"): "JSON, which is ASCII",
}


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what is there) of each thing that is not everywhere."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        found = [*_imported(node), *_attribute(node), *_call(node), *_text(node, prose)]
        yield from ((getattr(node, "lineno", 0), what) for what in found)


def _imported(node: ast.AST) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
        [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
    yield from (f"import {name}" for name in names if name.partition(".")[0] in ELSEWHERE)
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name in LACKING.get(node.module or "", ()))


def _attribute(node: ast.AST) -> Iterator[str]:
    """`os.fork`; `getattr(os, "geteuid", …)` asks before it takes."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in LACKING.get(node.value.id, ()):
        yield f"{node.value.id}.{node.attr}"


def _call(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    name, keywords = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
    short = name.rpartition(".")[2]
    if name in ("os.system", "os.popen") or _true(keywords.get("shell")):
        yield "a shell"
    if "preexec_fn" in keywords or short in ("get_context", "set_start_method") and _first(node) == "fork":
        yield "a fork"
    if "encoding" not in keywords and "b" not in _mode(node, keywords):
        if name in ("open", "io.open") or short in ("read_text", "write_text") and len(node.args) < 1 + (short == "write_text"):
            yield "text without its encoding"
        if short in ("fdopen", "NamedTemporaryFile", "TemporaryFile") and _mode(node, keywords) and name != "tarfile.open":
            yield "text without its encoding"
        if short == "open" and name != "open" and not node.args and not keywords or short == "open" and MODE.fullmatch(_first(node)):
            yield "text without its encoding"
        if _true(keywords.get("text")) or _true(keywords.get("universal_newlines")):
            yield "text without its encoding"
    if short == "rename" and not name.startswith("np."):
        yield f"{'os' if name == 'os.rename' else ''}.rename"
    if short in ("split", "rsplit", "partition", "rpartition", "startswith", "endswith") and _first(node) == "/" and "str(" in name:
        yield "a path taken apart at /"


def _text(node: ast.AST, prose: set[int]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
        if PLACES.match(node.value):
            yield f"the place {node.value}"
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("strftime", "strptime")):
        yield from (f"the date {a.value}" for a in node.args if isinstance(a, ast.Constant) and DATES.search(str(a.value)))
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None and DATES.search(ast.unparse(node.format_spec)):
        yield f"the date {ast.unparse(node.format_spec)}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and any(_glue(side) for side in (node.left, node.right)):
        called = [ast.unparse(side.func) for side in (node.left, node.right) if isinstance(side, ast.Call)]
        if set(called) & {"str", "os.fspath", "os.getcwd"}:
            yield "a path glued with /"


def _glue(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and (node.value.startswith("/") or node.value.endswith("/"))


def _true(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _first(node: ast.Call) -> str:
    return str(node.args[0].value) if node.args and isinstance(node.args[0], ast.Constant) else ""


def _mode(node: ast.Call, keywords: dict[str | None, ast.expr]) -> str:
    """How a file is opened: open(path, "rb"), path.open("rb"), mode="rb"."""
    own = ast.unparse(node.func) in ("open", "io.open", "os.fdopen", "gzip.open")           # their first argument is the file
    mode = keywords.get("mode") or next(iter(node.args[own:own + 1]), None)
    return mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) and MODE.fullmatch(mode.value) else ""


@pytest.mark.parametrize("path", SOURCES)
def test_nothing_is_used_that_some_system_lacks(path: str) -> None:
    found = faults(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    assert [f"{path}:{line}: {what}" for line, what in found if not {(path, what), (path, "*")} & set(MEANT)] == []


@pytest.mark.parametrize("source", [
    "import fcntl", "from termios import tcgetattr", "def f():\n import msvcrt", "os.fork()", "os.geteuid()", "from os import getuid",
    "signal.SIGKILL", "subprocess.run('ls', shell=True)", "os.system('ls')", "open('a')", "open('a', 'w')", "p.open()", "p.open('w')",
    "p.read_text()", "p.write_text('a')", "subprocess.run(['a'], text=True)", "x = '/tmp/a'", "x = '/dev/null'", "x = f'/proc/{n}'",
    "p = str(folder) + '/a'", "d.strftime('%-d')", "f'{d:%e}'", "f'{d:%s}'", "a.rename(b)", "os.rename(a, b)", "Popen(a, preexec_fn=f)",
    "get_context('fork')", "str(path).split('/')", "tempfile.NamedTemporaryFile('w')"])
def test_what_is_not_everywhere_is_found(source: str) -> None:
    assert list(faults(ast.parse(source)))


@pytest.mark.parametrize("source", [
    "getattr(os, 'geteuid', lambda: 1)()", "open('a', 'rb')", "p.open('rb')", "p.read_text(encoding='utf-8')",
    "open('a', encoding='ascii')", "'''/tmp'''", "os.fdopen(a, 'wb')", "gzip.open(a, 'rb')",
    "webbrowser.open(url)", "archive.open(name)", "d.strftime('%Y-%m-%d %H:%M:%S.%f %Z')", "f'{d:%Y-%m-%d}'", "f'{x:.0%}'", "f'{x:>5.1%}'",
    "p.replace(b)", "p.write_text('a', 'utf-8')", "subprocess.run(a, text=True, encoding='utf-8')", "p.as_posix().split('/')",
    "os.getpid()", "signal.SIGINT"])
def test_what_is_everywhere_is_not(source: str) -> None:
    assert list(faults(ast.parse(source))) == []


def test_what_is_meant_is_still_there() -> None:
    for path, what in MEANT:
        assert {found for _, found in faults(ast.parse((ROOT / path).read_text(encoding="utf-8")))} & {what} or what == "*"


def _names() -> list[str]:
    listed = subprocess.run(["git", "-c", "core.quotepath=off", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    return [name for name in listed.stdout.decode("utf-8").split("\0") if name]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no repository")
def test_every_file_can_be_checked_out_everywhere() -> None:
    names = _names()
    assert len(names) > 100
    for name in names:
        assert not any(refused(part) for part in PurePosixPath(name).parts), name
        assert len(name) <= 120, f"{name}: with a folder before it, more than the 260 that Windows allows is near"
    paths = {parent.as_posix() for name in names for parent in (PurePosixPath(name), *PurePosixPath(name).parents)}
    assert len({path.casefold() for path in paths}) == len(paths), "two names differ by case only"


def refused(name: str) -> bool:
    """Windows cannot have a file of this name."""
    return bool(re.search(r'[<>:"|?*\\\x00-\x1f]|[ .]$', name) or RESERVED.fullmatch(name)) and name not in (".", "..")


def test_which_names_are_refused() -> None:
    assert all(map(refused, ["a:b", "aux", "CON.py", "nul.txt", "a ", "a.", 'a"', "a?", "com1"]))
    assert not any(map(refused, ["a", ".gitignore", "console.py", "01_tensor", "ü", "a b", "auxiliary.py", "20260101T000000.1Z-reset"]))

"""Bubblewrap's sandbox: what student code finds inside, and what it cannot do there.  As root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tito
from grading.sandbox import Limits
from grading.sandbox.bubblewrap import Bubblewrap
from grading.sandbox.inside import FIRST_UID
from tests.check.workbench import RIGHT, Bench, demo
from tests.grading.sandbox_lab import Lab
from tests.grading.slots import FIRST
from tito.check.verdict import judge

TROUBLE = Bubblewrap().works() if sys.platform == "linux" else "not on Linux"
pytestmark = pytest.mark.skipif(bool(TROUBLE), reason=f"bubblewrap: {TROUBLE}")

LOOK = r"""
import json, os, socket, sys
facts = {"cwd": os.getcwd(), "path": sys.path, "argv": sys.argv, "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
         "environment": dict(os.environ), "host": socket.gethostname(), "root": sorted(os.listdir("/")),
         "descriptors": os.listdir("/proc/self/fd"), "processes": sorted(int(n) for n in os.listdir("/proc") if n.isdigit()),
         "first": [], "written": [], "imported": [], "sockets": [], "usr": os.listdir("/usr"), "site": os.listdir("/site")}
status = dict(line.rstrip("\n").split(":\t", 1) for line in open("/proc/self/status"))
facts["status"] = {k: v for k, v in status.items() if k.startswith("Cap") or k in ("NoNewPrivs", "Seccomp")}
try:
    facts["first"] = os.listdir("/proc/1/fd")
except PermissionError:
    pass
for place in [f"/{n}" for n in facts["root"]] + ["/", "/dev/shm", "/kit/tito", "/python/lib", "/site/numpy", "/usr/lib", "/dev/pts"]:
    try:
        open(place + "/x", "w").close()
        facts["written"].append(place)
    except OSError:
        pass
for name in ("numpy", "matplotlib", "IPython", "rich", "torch", "scipy", "nbgrader", "nbdev", "pytest", "pip", "grading", "tito.dev"):
    try:
        __import__(name)
        facts["imported"].append(name)
    except ImportError:
        pass
for family in range(1, 45):
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
        facts["sockets"].append(family)
    except OSError:
        pass
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(Bubblewrap(), tmp_path_factory.mktemp("mit Lücke"))


@pytest.fixture(scope="module")
def seen(lab: Lab) -> dict[str, Any]:
    ended = lab.run(LOOK, slot=3)
    assert ended.code == 0, ended
    return json.loads(ended.out)


# ---- what is inside ------------------------------------------------------------------------------


def test_it_is_nobody_and_has_no_right(seen: dict[str, Any]) -> None:
    assert (seen["uid"], seen["gid"], seen["groups"]) == (FIRST_UID + FIRST + 3, FIRST_UID + FIRST + 3, [])
    status = seen["status"]
    assert [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == ["0" * 16] * 5
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_it_sees_nothing_of_the_machine(seen: dict[str, Any]) -> None:
    assert set(seen["root"]) <= {"dev", "enter.py", "kit", "lib", "lib64", "proc", "python", "site", "tmp", "usr", "work"}
    assert set(seen["usr"]) <= {"lib", "lib64"}
    assert seen["host"] == "sandbox"


def test_it_sees_no_variable_of_ours(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "canary")
    ended = lab.run("import os\nprint(dict(os.environ), open('/proc/self/environ').read())\n"
                    "try: print(open('/proc/1/environ').read())\nexcept PermissionError: print('closed')")
    assert "canary" not in ended.out and "PYTHONHASHSEED" in ended.out and not ended.err


def test_variables_are_those_that_make_runs_equal(seen: dict[str, Any]) -> None:
    expected = {"PYTHONPATH": "/kit:/site", "HOME": "/tmp", "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1",
                "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    assert expected.items() <= seen["environment"].items()


def test_it_is_like_python_m_in_an_empty_folder(seen: dict[str, Any]) -> None:
    assert seen["cwd"] == seen["path"][0] == "/work"
    assert seen["path"][1:3] == ["/kit", "/site"]
    assert seen["argv"] == ["/kit/tito/check/child.py"]


def test_it_imports_what_a_notebook_may_and_nothing_else(seen: dict[str, Any]) -> None:
    assert seen["imported"] == ["numpy", "matplotlib", "IPython", "rich"]
    assert not [name for name in seen["site"] if name.endswith(".pth") or name.startswith(("torch", "nbgrader"))]


def test_it_writes_only_where_things_are_counted(seen: dict[str, Any]) -> None:
    assert sorted(seen["written"]) == ["/dev/shm", "/tmp", "/work"]


def test_it_has_no_network(seen: dict[str, Any]) -> None:
    assert seen["sockets"] == [1]                       # Unix sockets, in a namespace of its own


def test_it_holds_no_descriptor_but_its_streams(seen: dict[str, Any]) -> None:
    assert set(seen["descriptors"]) - {"0", "1", "2"} <= {"3"}      # 3: the listing itself
    assert seen["first"] == []


def test_it_sees_no_process_but_its_own(seen: dict[str, Any]) -> None:
    assert seen["processes"] == [1, 2]


def test_neighbours_do_not_meet(lab: Lab) -> None:
    one = lab.start("open('/work/secret', 'w').write('x'); open('/tmp/secret', 'w').write('x'); print('written', flush=True); input()",
                    Limits(wall_seconds=30), slot=1)
    with one.stdin, one.stdout:
        assert one.stdout.readline() == b"written\n"
        two = lab.run("import os\nprint(os.listdir('/work'), os.listdir('/tmp'), len(os.listdir('/proc/self/fd')))\n"
                      "try: os.kill(-1, 9)\nexcept ProcessLookupError: print('nobody')", slot=2)
        assert two.out == "[] [] 4\nnobody\n"
        one.stdin.write(b"\n")
        one.stdin.flush()
        assert one.wait() == 0


def test_the_kernel_refuses_what_gets_around_the_limits(lab: Lab) -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None)
print([libc.unshare(flag) for flag in (0x10000000, 0x20000, 0x40000000)], libc.ptrace(0, 0, 0, 0), libc.shmget(0, 4096, 0o1600))
try: os.memfd_create("x")
except OSError: print("no memfd")
"""
    assert lab.run(code).out == "[-1, -1, -1] -1 -1\nno memfd\n"


def test_what_notebooks_do_works(lab: Lab) -> None:
    code = """
import asyncio, ctypes, multiprocessing, subprocess, sys, tempfile, threading
async def later(): return 1
with multiprocessing.get_context("fork").Pool(2) as pool: two = pool.map(abs, [-2])
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: x + 1)
three = subprocess.run([sys.executable, "-c", "print(3)"], capture_output=True, text=True).stdout
threading.Thread(target=print, args=("thread",)).start()
with tempfile.TemporaryFile() as file: file.write(b"4")
print(asyncio.run(later()), two, three, callback(4))
"""
    ended = lab.run(code)
    assert ended.out == "thread\n1 [2] 3\n 5\n", ended


# ---- the checks' own child -----------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A course with one module, which is a kit as well."""
    bench = Bench(tmp_path)
    shutil.copytree(Path(tito.__file__).parent, tmp_path / "tito", ignore=shutil.ignore_patterns("cli", "dev", "__pycache__"))
    for each in (tmp_path, *tmp_path.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return bench


ANSWERS = [RIGHT, "return Tensor(a.data - b.data)", "import os; os._exit(3)", "import nothing_like_this"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_notebook_gets_the_verdict_that_it_gets_at_home(bench: Bench, answer: str) -> None:
    sandbox = Bubblewrap()
    home = bench.judge(demo(answer))
    launch = sandbox.launch(bench.root, 0, Limits())
    inside = judge(bench.put(demo(answer)), sandbox.home(bench.root), 1, "01 demo", launch=launch)
    assert inside.to_dict() == home.to_dict()
    assert home.ok == (answer == RIGHT) and not any(row.state == "infra" for row in home.rows)


# ---- an ordinary user ----------------------------------------------------------------------------

AS_NOBODY = r"""
import os, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from grading.sandbox import Limits
from grading.sandbox.bubblewrap import Bubblewrap
from tests.grading.sandbox_lab import FORKS, Lab, alive, marked
from tests.waiting import soon
sandbox = Bubblewrap(())
if sandbox.works():
    sys.exit("SKIP " + sandbox.works())
CAPABILITIES = "import os\nprint(os.getuid(), [l.split()[1].strip('0') for l in open('/proc/self/status') if l.startswith('Cap')])"
WRITE = '''
for place in ("/", "/dev", "/usr", "/kit", "/python/lib", "/proc/1/fd"):
    try: open(place + "/x", "w"); print(place)
    except OSError: pass
'''
with tempfile.TemporaryDirectory() as folder:
    lab, few = Lab(sandbox, Path(folder)), Limits(processes=12, wall_seconds=20)
    print(lab.run(CAPABILITIES).out + lab.run(WRITE).out, end="")
    full = lab.start(FORKS + "print(n, flush=True); input()", few)
    with full.stdin, full.stdout:
        own = full.stdout.readline()
        print(5 <= int(own) < 12, lab.run(FORKS + "print(n, flush=True); os._exit(0)", few).out.encode() == own)
        full.kill()
        full.wait()
    print(lab.run("import os\nfor i in range(10**6): os.mkdir(f'/dev/shm/{i}')").ended)
    limits = marked()
    if os.fork() == 0:
        lab.start("print('up', flush=True); import time; time.sleep(60)", limits).stdout.readline()
        os.kill(os.getpid(), 9)
    os.wait()
    print(soon(lambda: not alive(limits)))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="all these tests are an ordinary user's anyway")
def test_the_same_as_an_ordinary_user() -> None:
    """With the system's own Python: ours may stand where others cannot look."""
    python, root = "/usr/bin/python3", Path(__file__).parent.parent.parent
    nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": [], "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/"}
    able = f"import sys; open({str(root / 'pyproject.toml')!r}); sys.exit(sys.version_info < (3, 11))"
    if not Path(python).exists() or subprocess.run([python, "-c", able], capture_output=True, check=False, **nobody).returncode:
        pytest.skip("no other Python 3.11, or the course cannot be read by others")
    done = subprocess.run([python, "-B", "-c", AS_NOBODY, str(root)], capture_output=True, text=True, check=False, timeout=60, **nobody)
    if done.stderr.startswith("SKIP"):
        pytest.skip(done.stderr)
    assert done.stdout[2:].partition(" ")[2] == "['', '', '', '', '']\nTrue True\nit wrote more than 256 files\nTrue\n", done.stderr
    assert done.stdout.startswith("60")

"""Which sandbox is taken, what each is made of, and the kinds that need no bubblewrap."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grading.sandbox import Limits, bubblewrap, choose, docker, inside, named, seccomp
from grading.sandbox.bubblewrap import Bubblewrap
from grading.sandbox.docker import Docker
from grading.sandbox.plain import Plain
from grading.sandbox.process import Process
from tests.grading.sandbox_lab import Lab
from tito.errors import ExitCode, TitoError
from tito.settings import Grading

pytestmark = pytest.mark.skipif(os.name == "nt", reason="grading in a sandbox is for Linux, and for engines on POSIX systems")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder in which commands are found; whatever was learnt of others is forgotten."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for memory in (bubblewrap._trial, docker._asked):
        memory.cache_clear()
    yield folder
    for memory in (bubblewrap._trial, docker._asked):
        memory.cache_clear()


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


# ---- the choice ----------------------------------------------------------------------------------


def test_where_none_works_each_is_named_with_its_reason(tools: Path) -> None:
    with pytest.raises(TitoError) as caught:
        choose(Grading())
    assert caught.value.why == "bubblewrap: it is not installed; docker: it is not installed"
    assert "apt-get install bubblewrap" in caught.value.fix and caught.value.code == ExitCode.INFRASTRUCTURE


def test_a_kind_that_does_not_start_is_passed_over(tools: Path) -> None:
    tool(tools, "bwrap", "echo 'bwrap: no permissions to create a new namespace' >&2; exit 1")
    tool(tools, "docker", "exit 0")
    if sys.platform == "linux":
        assert Bubblewrap().works() == "bwrap: no permissions to create a new namespace"
    assert choose(Grading()).name == "docker"


@pytest.mark.parametrize(("script", "trouble"), [
    ("exit 1", "no engine answers"),
    ('test "$1" = version', "there is no image own:1; make it with: docker build -t own:1 -f grading/sandbox/Dockerfile ."),
    ("exit 0", ""),
])
def test_docker_says_what_is_missing(tools: Path, script: str, trouble: str) -> None:
    tool(tools, "docker", script)
    assert Docker("own:1").works() == trouble


def test_the_kind_that_the_settings_name_is_the_only_one_tried(tools: Path) -> None:
    tool(tools, "docker", "exit 0")
    assert choose(Grading(sandbox="docker", image="own:1")).image == "own:1"      # type: ignore[attr-defined]
    with pytest.raises(TitoError, match="cannot be run safely"):
        choose(Grading(sandbox="bubblewrap"))


def test_without_a_sandbox_only_where_it_is_said_each_time(tools: Path) -> None:
    assert choose(Grading(), unsafe=True).name == "none"


@pytest.mark.parametrize("sandbox", [Bubblewrap(), Docker("own:1"), Plain()])
def test_a_worker_makes_the_same_kind_by_its_name(sandbox: Bubblewrap | Docker | Plain) -> None:
    assert type(named(sandbox.name, "own:1")) is type(sandbox)


def test_limits_are_the_settings() -> None:
    limits = Limits.of(Grading(cpu_seconds=7, wall_seconds=8, memory_mb=900, processes=9, output_kb=10, files=11, file_mb=12))
    assert limits == Limits(7, 8, 900, 9, 10, 11, 12)
    assert limits.resources()["as"] == 900 << 20 and limits.resources()["fsize"] == 12 << 20
    assert sum(limits.folders().values()) <= 900 << 20


# ---- what bubblewrap is told ---------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="not on Linux")
def test_root_becomes_another_user_and_anybody_else_a_namespace_of_users(tmp_path: Path) -> None:
    root, user = (Bubblewrap(()).command(tmp_path, 7, Limits(), rules=5, info=6, root=root) for root in (True, False))
    assert "--unshare-user" not in root and json.loads(root[-1])["uid"] == 60007
    assert root[root.index("--cap-drop") + 1] == "ALL"
    assert [root[i + 1] for i, word in enumerate(root) if word == "--cap-add"] == ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
    assert user[user.index("--uid") + 1] == "60007" and "--cap-add" not in user and json.loads(user[-1])["uid"] is None
    for words in (root, user):
        assert {"--unshare-net", "--unshare-pid", "--unshare-ipc", "--clearenv", "--new-session"} <= set(words)
        assert "--bind" not in words and "--dev-bind" not in words


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with three distributions: toy needs base; it has extras, and a .pth file beside it."""
    folder = tmp_path / "mit Lücke"
    needs = ["base>=1", "extra-thing; extra == 'more'", "windows-thing; sys_platform == 'win32'"]
    for name, required, files in (("toy", needs, ["toy.py", "evil.pth"]), ("base", [], ["base/__init__.py"]),
                                  ("extra-thing", [], ["extra_thing.py"])):
        info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {each}" for each in required)]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for file in files:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text("import nothing" if file.endswith(".pth") else "x = 1", encoding="utf-8")
        record = [*files, f"{info.name}/METADATA", "../../bin/toy"]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in record), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_packages_are_the_named_ones_and_what_they_need(shelf: Path) -> None:
    words = inside.packages(("toy",))
    assert words[2::3] == ["/site/base", "/site/base-1.0.dist-info", "/site/toy-1.0.dist-info", "/site/toy.py"]
    assert set(words[::3]) == {"--ro-bind"}


@pytest.mark.skipif(bool(sys.platform != "linux" or Bubblewrap().works()), reason="bubblewrap does not work here")
def test_an_environment_below_any_path_is_found(shelf: Path, tmp_path: Path) -> None:
    lab = Lab(Bubblewrap(("toy",)), tmp_path)
    for each in (tmp_path, *shelf.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    ended = lab.run("import toy, base\nprint(toy.__file__)\ntry: import extra_thing\nexcept ImportError: print('no extra')")
    assert ended.out == "/site/toy.py\nno extra\n", ended.err


# ---- the filter of system calls ------------------------------------------------------------------


def verdict(machine: str, number: int, argument: int = 0, arch: int = 0) -> int:
    """What the kernel would come to: 0 for allowed, or the errno."""
    program, data = seccomp.program(machine), struct.pack("<IIQQ", number, arch or seccomp.ARCHITECTURES[machine], 0, argument)
    lines = list(struct.iter_unpack("<HBBI", program))
    at = held = 0
    while True:
        code, yes, no, value = lines[at]
        at += 1
        if code == seccomp.RETURN:
            return 0 if value == seccomp.ALLOW else value & 0xFFFF
        if code == seccomp.LOAD:
            held = struct.unpack_from("<I", data, value)[0]
        else:
            true = {seccomp.EQUAL: held == value, seccomp.AT_LEAST: held >= value, seccomp.ANY_BIT: bool(held & value)}[code]
            at += yes if true else no


@pytest.mark.parametrize("machine", list(seccomp.ARCHITECTURES))
def test_the_filter_refuses_what_it_names_and_lets_the_rest_pass(machine: str) -> None:
    column = list(seccomp.ARCHITECTURES).index(machine)
    refused = {numbers[column] for numbers in seccomp.REFUSED.values()}
    clone, clone3, socket = (numbers[column] for numbers in (seccomp.CLONE, seccomp.CLONE3, seccomp.SOCKET))
    for number in range(470):
        assert verdict(machine, number, 1) == (1 if number in refused else 38 if number == clone3 else 0), number
    assert verdict(machine, clone, seccomp.CLONE_NEWUSER | 17) == 1 and verdict(machine, clone, 17) == 0
    assert verdict(machine, socket, 2) == 97
    assert verdict(machine, 0, arch=0x40000003) == 1            # as a 32-bit program


# ---- docker --------------------------------------------------------------------------------------


def test_dockers_command_line(tmp_path: Path) -> None:
    kit = tmp_path / 'a, "b" ü'
    words = Docker("own:1").command("tito-x", kit, 3, Limits(wall_seconds=30, processes=20, memory_mb=600, file_mb=5))
    text = " ".join(words)
    for part in ("docker run --rm -i --init --name tito-x", "--network none", "--read-only", "--user 60003:60003", "--cap-drop ALL",
                 "--security-opt no-new-privileges", "--memory 600m --memory-swap 600m", "--pids-limit 20", "--cpus 1", "--pull never",
                 "--log-driver none", "--ulimit fsize=5242880:5242880", "--ulimit core=0:0", "--ulimit nofile=64:64",
                 "--env PYTHONHASHSEED=0",
                 "--tmpfs /work:rw,nosuid,nodev,mode=1777,size=314572800,nr_inodes=257", "--env PYTHONPATH=/kit"):
        assert part in text, part
    assert f'type=bind,"source={tmp_path}/a, ""b"" ü",target=/kit,readonly' in words
    assert words[words.index("own:1"):][:5] == ["own:1", "--signal=KILL", "40", "python", "/enter.py"]
    assert json.loads(words[-1]) == {"module": "tito.check.child", "first": False, "limits": {"as": 600 << 20}}


def test_a_container_is_killed_by_its_name(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending the client alone would leave the container at work; a client that stays all the same is ended too."""
    monkeypatch.setattr("grading.sandbox.process.PATIENCE", 0.5)
    tool(tools, "docker", f'echo "$1 $2" >> "{tmp_path}/asked"; if test "$1" = run; then exec /bin/sleep 60; fi')
    process = Lab(Docker("own:1"), tmp_path).start("", Limits(wall_seconds=1))
    with process.stdin, process.stdout:
        process.wait()
    name = process.box.name                             # type: ignore[attr-defined]
    assert process.ended == "it ran longer than 1 seconds"
    assert (tmp_path / "asked").read_text().splitlines() == ["run --rm", f"kill {name}"]


# ---- none ----------------------------------------------------------------------------------------


def test_without_a_sandbox_there_are_limits_all_the_same(tmp_path: Path) -> None:
    lab = Lab(Plain(), tmp_path)
    code = "import os, resource, sys\nlimit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]\n"
    code += "print(limit, os.environ['PYTHONPATH'], sys.path[0] == os.getcwd())"
    ended = lab.run(code, Limits(file_mb=3))
    assert ended.out == f"{3 << 20} {lab.kit} True\n" and ended.code == 0
    assert Plain().home(lab.kit) == lab.kit and Plain().works() == ""


def test_without_a_sandbox_the_clock_ends_the_children_too(tmp_path: Path) -> None:
    ended = Lab(Plain(), tmp_path).run("import os, time\nos.fork()\ntime.sleep(60)", Limits(wall_seconds=1))
    assert (ended.ended, ended.code) == ("it ran longer than 1 seconds", -9)
    assert ended.seconds < 10                           # its output ends only with the last of them


# ---- the end ---------------------------------------------------------------------------------------


@dataclass
class Slow:
    """What holds a sandbox whose processes take their time to be gone, as on a busy machine."""

    child: subprocess.Popen[bytes]

    def look(self) -> str:
        return "it went too far"

    def end(self) -> None:
        assert self.child.stdin
        self.child.stdin.close()                        # that is when this one begins to end

    def close(self) -> None:
        return


def test_one_that_is_slow_to_end_still_tells_its_own_exit_code(tmp_path: Path) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen([sys.executable, "-c", "import sys, time; sys.stdin.read(); time.sleep(1.5); sys.exit(137)"], **pipes)
    with (tmp_path / "errors").open("wb") as errors, child.stdin, child.stdout:
        process = Process(child, errors, Limits(), Slow(child))
        assert (process.wait(), process.ended) == (137, "it went too far")

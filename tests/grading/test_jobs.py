"""Jobs: the same promises kept by this machine's processes and by a Dask cluster; and an end to everything that was started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grading.run import jobs as grading_jobs
from grading.run.jobs import AHEAD, Job, JobError, Jobs, Local, chosen, processors, slot
from tests.grading.clusters import ROOT, Cluster, end, environment, free_port, needs_dask, until
from tito.errors import ExitCode, TitoError

SLOTS = 2


# ---- work ------------------------------------------------------------------------------------------

def double(job: Job) -> dict[str, Any]:
    return {"n": job["n"], "twice": 2 * job["n"], "pid": os.getpid()}


def picky(job: Job) -> dict[str, Any]:
    if job["n"] % 3 == 0:
        raise ValueError(f"not {job['n']}")
    if job["n"] % 3 == 1:
        raise TitoError("this is no notebook", why="it is empty")
    return {"n": job["n"]}


def alone(job: Job) -> dict[str, Any]:
    """Only one may be here with this slot."""
    mark = Path(job["folder"]) / str(job["slot"])
    with mark.open("x"):
        time.sleep(0.01)
    mark.unlink()
    return {"slot": job["slot"]}


def mortal(job: Job) -> dict[str, Any]:
    """Its process dies `times` times."""
    deaths = Path(job["folder"]) / f"deaths-{job['n']}"
    seen = len(deaths.read_bytes()) if deaths.exists() else 0
    if seen < job["times"]:
        deaths.write_bytes(b"x" * (seen + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return {"n": job["n"], "seen": seen}


def parent(job: Job) -> dict[str, Any]:
    """Starts a child that takes long, as a judge does."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        try:
            (Path(job["folder"]) / f"child-{job['n']}").write_text(f"{child.pid} {os.getpid()}", encoding="utf-8")
            child.wait()
        finally:
            child.kill()
    return {}


# ---- both kinds ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), SLOTS, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
    yield made
    made.close()


@pytest.fixture(params=["local", pytest.param("dask", marks=needs_dask)])
def jobs(request: pytest.FixtureRequest) -> Jobs:
    if request.param == "local":
        return Local(SLOTS)
    from grading.run.cluster import Dask
    return Dask(request.getfixturevalue("cluster").address, patience=20.0)


def numbers(count: int, **more: Any) -> Iterator[Job]:
    return ({"n": n, **more} for n in range(count))


def test_every_job_comes_back_once_with_its_own_result(jobs: Jobs) -> None:
    done = list(jobs.run(double, numbers(40)))
    assert sorted(job["n"] for job, _ in done) == list(range(40))
    assert all(isinstance(result, dict) and result["twice"] == 2 * job["n"] for job, result in done)
    pids = {result["pid"] for _, result in done if isinstance(result, dict)}
    assert os.getpid() not in pids and 1 <= len(pids) <= SLOTS
    assert list(jobs.run(double, ())) == []


def test_what_work_raises_is_that_jobs_own_matter(jobs: Jobs) -> None:
    done = {job["n"]: outcome for job, outcome in jobs.run(picky, numbers(6))}
    assert str(done[0]) == "ValueError: not 0" and str(done[1]) == "this is no notebook: it is empty"
    assert isinstance(done[0], JobError) and isinstance(done[1], JobError)
    assert done[2] == {"n": 2} and done[5] == {"n": 5}


def test_only_a_few_jobs_are_in_memory(jobs: Jobs) -> None:
    taken = told = most = 0

    def source() -> Iterator[Job]:
        nonlocal taken
        for taken in range(1, 61):
            yield {"n": taken}

    for _ in jobs.run(double, source()):
        most = max(most, taken - told)
        told += 1
    assert told == 60 and SLOTS < most <= AHEAD * SLOTS


def test_no_two_jobs_have_a_slot_at_once(jobs: Jobs, tmp_path: Path) -> None:
    with slot() as ours:                                    # somebody else on this machine, as another term's grading
        done = [outcome for _, outcome in jobs.run(alone, numbers(20, folder=str(tmp_path)))]
    slots = {outcome["slot"] for outcome in done if isinstance(outcome, dict)}
    assert len(done) == 20 and not any(isinstance(outcome, Exception) for outcome in done)
    assert ours not in slots and len(slots) >= SLOTS


def test_a_job_whose_worker_dies_is_done_again_and_the_others_do_not_notice(jobs: Jobs, tmp_path: Path) -> None:
    work = [{"n": n, "times": 1 if n == 3 else 0, "folder": str(tmp_path)} for n in range(8)]
    done = {job["n"]: outcome for job, outcome in jobs.run(mortal, work)}
    assert done == {n: {"n": n, "seen": int(n == 3)} for n in range(8)}


def test_a_job_that_no_worker_survives_is_given_up(jobs: Jobs, tmp_path: Path) -> None:
    work = [{"n": n, "times": 99 if n == 0 else 0, "folder": str(tmp_path)} for n in range(4)]
    done = {job["n"]: outcome for job, outcome in jobs.run(mortal, work)}
    assert isinstance(done[0], JobError) and "died over it" in str(done[0])
    assert [done[n] for n in (1, 2, 3)] == [{"n": n, "seen": 0} for n in (1, 2, 3)]


def test_a_run_that_is_left_early_ends_its_workers(tmp_path: Path) -> None:
    run = Local(SLOTS).run(double, numbers(100))
    _, outcome = next(run)
    assert isinstance(outcome, dict)
    run.close()
    until(lambda: not _alive(outcome["pid"]), 5.0)


# ---- the end ---------------------------------------------------------------------------------------

COORDINATOR = """
import sys
from grading.run.jobs import Local
from tests.grading.test_jobs import numbers, parent
if __name__ == "__main__":
    try:
        list(Local(2).run(parent, numbers(9, folder=sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("how", ["ctrl-c", "kill -9"])
def test_when_the_coordinator_ends_nothing_of_it_is_left(how: str, tmp_path: Path) -> None:
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment(), cwd=ROOT, start_new_session=True,
                               stderr=subprocess.PIPE)
    try:
        until(lambda: len(list(tmp_path.glob("child-*"))) == 2)
        time.sleep(0.05)
        pids = [int(word) for path in tmp_path.glob("child-*") for word in path.read_text(encoding="utf-8").split()]
        assert len(pids) == 4 and all(map(_alive, pids))
        if how == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)       # what a terminal does
            _, said = process.communicate(timeout=5.0)
            assert (process.returncode, said) == (130, b"")
        else:
            process.kill()
        until(lambda: not any(map(_alive, pids)), 5.0)
    finally:
        end(process)
        process.communicate()


def test_the_slots_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(grading_jobs.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"tito-grading-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TitoError, match="cannot be used"), slot():
        pass


# ---- a cluster's own troubles ----------------------------------------------------------------------

@needs_dask
def test_a_worker_with_other_code_is_refused(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from grading.run import cluster as ours
    real = ours.installed()
    monkeypatch.setattr(ours, "installed", lambda: {**real, "code": "0123456789ab"})
    with pytest.raises(TitoError) as error:
        list(ours.Dask(cluster.address, patience=5.0).run(double, numbers(3)))
    assert error.value.code is ExitCode.INFRASTRUCTURE and "another course" in error.value.what
    assert real["code"] in error.value.why and "0123456789ab" in error.value.why


@needs_dask
def test_one_that_joins_later_does_nothing_with_other_code() -> None:
    from grading.run.cluster import call, installed
    assert call(double, {"n": 1}, {**installed(), "Python": "2.7"}) == ("differs", installed())


@needs_dask
def test_a_scheduler_that_does_not_answer_is_told_in_one_error() -> None:
    from grading.run.cluster import Dask
    with pytest.raises(TitoError) as error:
        list(Dask(f"tcp://127.0.0.1:{free_port()}", patience=0.2).run(double, numbers(3)))
    assert error.value.code is ExitCode.INFRASTRUCTURE and "does not answer" in error.value.why and "again" in error.value.fix


@needs_dask
def test_a_cluster_without_workers_is_told(tmp_path: Path) -> None:
    from grading.run.cluster import Dask
    empty = Cluster(tmp_path, 0)
    try:
        with pytest.raises(TitoError, match="cannot be used") as error:
            list(Dask(empty.address, patience=0.5).run(double, numbers(3)))
        assert "no workers" in error.value.why
    finally:
        empty.close()


def test_the_kind_of_jobs_follows_the_address() -> None:
    with chosen("", 3) as local:
        assert (local.name, local.slots) == ("local", 3)       # type: ignore[attr-defined]
    with chosen("", 0) as local:
        assert 1 <= local.slots == processors() <= (os.cpu_count() or 1)       # type: ignore[attr-defined]

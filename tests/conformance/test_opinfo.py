"""torch's own sample inputs: none fails, and none of our operations lost all that pass."""

import json
from itertools import groupby

import pytest

pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")
pytest.importorskip("expecttest", reason="torch's samples need expecttest: see the extra `conformance`")

from tests.conformance.__main__ import WIDTH, main, table  # noqa: E402
from tests.conformance.operations import EVERYTHING  # noqa: E402
from tests.conformance.opinfo import COMPLEX, Row, ledger, unsupported  # noqa: E402
from tests.conformance.samples import ADAPTERS, NEVER, WITHOUT_SAMPLES, Adapter  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    return ledger()


def test_no_sample_fails(rows):
    assert [f"{row.name}: {failure}" for row in rows for failure in row.failed] == []


def test_samples_pass_for_every_operation(rows):
    assert {row.name for row in rows if not row.passed} == NEVER
    assert sum(row.passed for row in rows) > 2500
    complete = [row for row in rows if row.missing.total() == row.missing[COMPLEX]]
    assert len(complete) > len(rows) / 2


def test_every_operation_has_samples_or_a_reason():
    first_words = {word for word, _ in groupby(sorted(EVERYTHING), key=lambda name: name.split()[0])}
    sampled = {adapter.operation.split()[0] for adapter in ADAPTERS.values()}
    assert first_words - sampled - set(WITHOUT_SAMPLES) == set()
    assert sampled & set(WITHOUT_SAMPLES) == set()
    assert {adapter.operation for adapter in ADAPTERS.values()} <= set(EVERYTHING)


def test_the_ledger_is_a_table_of_80_columns(rows):
    failing = Row("some.operation", "add", passed=3, failed=["float32 " + "x" * 100])
    text = table([*rows, failing])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "FAIL float32 xxx" in text and "complex numbers" in text
    assert json.loads(json.dumps(failing.as_json()))["fail"] == 1


def test_the_command_takes_names_and_refuses_others(capsys):
    assert main(["--json", "relu"]) == 2 and "relu" in capsys.readouterr().err
    assert main(["--json", "mul"]) == 0
    assert [row["fail"] for row in json.loads(capsys.readouterr().out)] == [0]


def test_what_is_not_supported_is_told_by_a_rule():
    class Sample:
        input, args, kwargs = 1.0, (2.0,), {"alpha": 2}
    adapter = Adapter("add", None, "input other", {"ones": lambda given: given["input"] == 1.0}, {"alpha": 1})
    assert unsupported(adapter, Sample) == "keyword alpha"
    Sample.kwargs = {"alpha": 1}
    assert unsupported(adapter, Sample) == "ones"
    Sample.input = 3.0
    assert unsupported(adapter, Sample) is None

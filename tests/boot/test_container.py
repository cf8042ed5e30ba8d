"""`.devcontainer/`: what the published schema allows, for the Python and the commands of this course.  No engine is needed."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".devcontainer"
CONTAINER = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))
KINDS = {"name": str, "build": dict, "remoteUser": str, "remoteEnv": dict, "postCreateCommand": str, "forwardPorts": list,
         "portsAttributes": dict, "customizations": dict}
ON_FORWARD = {"notify", "openBrowser", "openBrowserOnce", "openPreview", "silent", "ignore"}


def dockerfile() -> str:
    return (FOLDER / CONTAINER["build"]["dockerfile"]).read_text(encoding="utf-8")


def test_its_fields_are_those_of_the_schema():
    assert {name: type(value) for name, value in CONTAINER.items()} == KINDS
    assert all(isinstance(value, str) for value in CONTAINER["remoteEnv"].values())
    assert all(isinstance(port, int) and 0 < port < 65536 for port in CONTAINER["forwardPorts"])
    for port, told in CONTAINER["portsAttributes"].items():
        assert int(port) in CONTAINER["forwardPorts"] and set(told) <= {"label", "protocol", "onAutoForward"}
        assert told["onAutoForward"] in ON_FORWARD
    editor = CONTAINER["customizations"]["vscode"]
    assert set(editor) <= {"extensions", "settings"} and all(re.fullmatch(r"[\w-]+\.[\w-]+", name) for name in editor["extensions"])


def test_variables_are_known_ones():
    text = json.dumps(CONTAINER)
    assert set(re.findall(r"\$\{(\w+)", text)) <= {"containerWorkspaceFolder", "containerEnv"}


def test_its_python_is_one_that_the_course_takes():
    found = re.search(r"^FROM python:3\.(\d+)$", dockerfile(), re.MULTILINE)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert found and int(found[1]) >= int(needed.removeprefix(">=3."))


def test_jupyterlab_will_start_in_it():
    """It refuses to for root, which the image's own user is; and it listens where it always does."""
    user = CONTAINER["remoteUser"]
    assert user != "root" and re.search(rf"^RUN useradd .*\b{user}$", dockerfile(), re.MULTILINE)
    assert CONTAINER["forwardPorts"] == [8888]


def test_what_it_runs_is_the_short_way():
    assert CONTAINER["postCreateCommand"] == "python3 -m tito --version"
    assert "/.venv/bin:" in CONTAINER["remoteEnv"]["PATH"]

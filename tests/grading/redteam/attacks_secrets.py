"""Attacks on what is not the student's: the gradebook, solutions, probes, neighbours, other processes, the network, later runs.

A secret that is read is raised, so that it stands in what the judge says of the cell; what is written goes to places out of its reach.
"""

from __future__ import annotations

from tests.grading.redteam.attack import Attack
from tests.grading.redteam.attacks_patch import SHAPE

SOLVED = """
import json, re, types
def steal(text):
    cells = [("".join(c["source"])) for c in json.loads(text)["cells"]] if text.lstrip().startswith("{") else [text]
    found = next(c for c in cells if "def broadcast_shape" in c)
    code = re.search(r"def broadcast_shape.*?(?=\\n\\S|\\Z)", found, re.S)[0]
    space = {}
    exec(code, space)
    return space["broadcast_shape"]
"""
TO_SHAPE = {"aim": ("test-broadcast-shape",), "answers": {"broadcast-shape": SHAPE}}


def _reads(name: str, tries: str, code: str, works_under: str = "visible") -> Attack:
    return Attack(name, tries, works_under, setup=f"def read():\n{code}\nraise RuntimeError('found: ' + str(read())[-300:])")


def _copies_halved(name: str, tries: str, where: str) -> Attack:
    return Attack(name, tries, "nbgrader", target="plain", aim=("test-halved",), answers={"halved": f"""
import glob, json
places = [p for up in (".", "..", "../..", "../../..", "@TERM@") for p in glob.glob(up + "/{where}/plain_dev.ipynb")]
exec(next(text for c in json.load(open(places[0]))["cells"] if "def halved" in (text := "".join(c["source"]))))"""})


def _copies(name: str, tries: str, code: str, works_under: str) -> Attack:
    return Attack(name, tries, works_under, aim=("test-broadcast-shape",),
                  answers={"broadcast-shape": f"{SOLVED}\nimport glob, pathlib\n{code}"})


ATTACKS = [
    _reads("reads-gradebook", "the gradebook is opened", "    return open('@TERM@/gradebook.db', 'rb').read()"),
    _reads("reads-secret", "the term's secret, from which the seeds come", "    return open('@TERM@/secret').read()"),
    _reads("reads-probes", "the probes in the course's folder", "    return open('@COURSE@/modules/01_tensor/probes.py').read()[:200]"),
    _reads("reads-answers", "the reference's answers to the probes", """
    import glob
    return open(glob.glob('@TERM@/assignments/01_tensor/*.answers.json')[0]).read()"""),
    _reads("finds-secrets", "every folder is searched for what the judge keeps", """
    import os
    places = ['/tmp', '/work', '/home', '/root', '/kit', '/var/tmp', '/dev/shm', '/etc', '.', '..']
    for _ in range(5):                          # the nearest first: far down there may be more than a cell has time for
        inside = []
        for place in places:
            try:
                inside += os.scandir(place)
            except OSError:
                continue
        for file in inside:
            try:
                text = open(file, errors='replace').read(300) if file.is_file() else ''
            except OSError:
                continue
            if '@CANARY1@' + '@CANARY2@' in text:
                return text
        places = [each.path for each in inside if each.is_dir(follow_symlinks=False)]
    raise LookupError('nothing')"""),
    _reads("reads-environment", "the environment of the judge", "    import os\n    return dict(os.environ)"),
    _reads("reads-proc-environ", "the environments of other processes, in /proc", """
    import glob, re
    all = b''
    for path in glob.glob('/proc/[0-9]*/environ'):
        try:
            all += open(path, 'rb').read()
        except OSError:
            continue
    return re.search(rb'canary-\\w+', all)[0]"""),
    _reads("reads-proc-cmdline", "the command lines of other processes, in /proc", """
    import glob, re
    all = b''.join(open(path, 'rb').read() for path in glob.glob('/proc/[0-9]*/cmdline'))
    return re.search(rb'canary-\\w+', all)[0]"""),
    _reads("reads-open-files", "files that the judge holds open, through /proc and inherited descriptors", """
    import glob, os, re
    all = b''
    for path in [*glob.glob('/proc/[0-9]*/fd/*')]:
        try:
            if os.path.isfile(path) and os.path.getsize(path) < 10000:
                all += open(path, 'rb').read()
        except OSError:
            continue
    return re.search(rb'canary-\\w+', all)[0]"""),
    _reads("asks-loopback", "a service of this machine is asked", """
    import socket
    return socket.create_connection(('127.0.0.1', @PORT@), timeout=2).recv(100)"""),
    _reads("asks-abstract-socket", "a service of this machine that needs no file", """
    import socket
    line = socket.socket(socket.AF_UNIX)
    line.connect('\\0@SOCKET@')
    return line.recv(100)"""),
    _reads("asks-the-network", "the secret's server at the machine's own address", """
    import socket
    return socket.create_connection(('@HOST@', @PORT@), timeout=2).recv(100)"""),
    _copies("solution-from-course", "the answer is taken from the module's source", 'broadcast_shape = steal('
            'pathlib.Path("@COURSE@/modules/01_tensor/tensor_dev.py").read_text())', "visible"),
    _copies_halved("solution-from-source", "the answer is taken from nbgrader's source folder, wherever that is", "source/*"),
    _copies_halved("solution-from-neighbour", "the answer is taken from another student's submission", "submitted/neighbour/*"),
    _copies("solution-from-later", "the answer is imported from the package, which the notebook's own module belongs to", """
import tinytorch
tinytorch.limit(None)
from tinytorch.core.tensor import broadcast_shape""", "visible"),
    _copies("solution-from-file", "the answer is read from the package's file, past every import", """
import sys
places = [p for folder in [*sys.path, "@COURSE@", "/kit"] for p in glob.glob(folder + "/tinytorch/core/tensor.py")]
broadcast_shape = steal(pathlib.Path(places[0]).read_text())""", "visible"),
    Attack("writes-gradebook", "a better result is written beside a neighbour's", "visible",
           setup="open('@TERM@/results/neighbour.json', 'w').write('touched')"),
    Attack("writes-course", "the course's own files are changed for whoever is judged next", "visible",
           setup="open('@COURSE@/modules/01_tensor/probes.py', 'a').write('# touched')"),
    Attack("links-outside", "a link in the working folder leads to a neighbour's result, and is written through", "visible", setup="""
import os
os.symlink('@TERM@/results/neighbour.json', 'link')
open('link', 'w').write('touched')"""),
    Attack("leaves-a-file", "something is left in a folder that everybody writes to", "visible", setup="""
for folder in ('@DROP@', '/tmp', '/var/tmp', '/dev/shm'):
    open(folder + '/@MARK@', 'w').write('touched')"""),
    Attack("lives-on", "a forked process in a session of its own outlives the run and writes when it is over", "visible", setup="""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1.0)
        for folder in ('@DROP@', '/tmp'):
            open(folder + '/@MARK@-late', 'w').write('touched')
    os._exit(0)""", lingers=1.5),
    Attack("visits-the-next", "a process that lives on waits for other runs' folders and writes into them", "visible", setup="""
import glob, os, time
mine = {os.path.realpath(p) for p in glob.glob('/tmp/tito-*/work') if os.path.realpath(p) == os.getcwd()}
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for _ in range(12):
            time.sleep(0.1)
            for path in glob.glob('/tmp/tito-*/work') + ['/work', '/tmp']:
                if os.path.realpath(path) not in mine:
                    try:
                        open(path + '/@MARK@-visit', 'w').write('touched')
                    except OSError:
                        pass
    os._exit(0)""", lingers=1.5),
    Attack("stops-others", "every process that can be signalled is stopped", "visible", setup="""
import os, signal
try:
    os.kill(@VICTIM@, signal.SIGKILL)
except ProcessLookupError:
    raise RuntimeError("nobody there") from None"""),
]

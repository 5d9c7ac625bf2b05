"""What hand-written set-up becomes, line by line; nothing is executed, and no statement is lost."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from support.notebooks import MARKER, notebook, setup_text, source, whole

from colab_magics.__main__ import main
from colab_magics.core.errors import NotebookError
from colab_magics.record.cell import parse
from colab_magics.setup.adopt.engine import make_plan
from colab_magics.setup.adopt.notebook import MARK, adopt, undo
from colab_magics.setup.adopt.plan import Entry, Plan
from colab_magics.setup.adopt.source import code_lines
from colab_magics.setup.adopt.state import Versions

pytestmark = pytest.mark.once

CLONE = "!git clone https://github.com/me/work.git\n"
#: Put together here, so that nothing in this file looks like a token to those who scan it.
TOKEN = "hf" + "_" + "Zq3Xv7Lm9Tb2Kc5Wd8Rf1Hg4Jp6Ns0Yt7U"


def plan_of(*cells: str, **options: Any) -> Plan:
    """The plan of a notebook of these code cells, checked: each line of code is covered once."""
    plan = make_plan(list(enumerate(cells)), **options)
    for cell in plan.cells:
        spans = [range(entry.first, entry.last + 1) for entry in cell.entries]
        counted = Counter(number for span in spans for number in span)
        for line in code_lines(cell.text.splitlines()):
            assert counted[line] == 1, (line, cell)
    return plan


def lines(*cells: str, **options: Any) -> List[str]:
    """What the setup cell gets."""
    return [item.text for item in plan_of(*cells, **options).items]


def entries(cell: str) -> Tuple[Entry, ...]:
    """What becomes of one cell."""
    return plan_of(cell).cells[0].entries


STEPS = [
    ("!pip install a", "%pin a"),
    ("!pip -q install a==1", "%pin a==1"),
    ("%pip install -qU a", "%pin a"),
    ("!pip3 install 'a>=1,<2' b[c]", "%pin a>=1,<2 b[c]"),
    ("!pip install a>=1.2", "%pin a>=1.2"),
    ("!python3 -m pip install a \\\n  b", "%pin a b"),
    ("!uv pip install --system -qqq a", "%pin a"),
    ("!conda install -y -c conda-forge a=1.2", "%pin a==1.2.*"),
    ("!pip install -r /content/x/r.txt", "%pin -r x/r.txt"),
    ("!pip install -e .[dev]", "%pin -e .[dev]"),
    ("!pip install ./work/", "%pin -e work"),
    ("!pip install a -f https://h.example/x.html", "%pin a --find-links https://h.example/x.html"),
    (
        "!pip install git+https://github.com/me/tool@v1",
        "%pin 'tool @ git+https://github.com/me/tool@v1'",
    ),
    ("!pip install git+https://h.example/x#egg=y", "%pin 'y @ git+https://h.example/x'"),
    ("!cd work && pip install -r r.txt", "%pin -r work/r.txt"),
    ("import subprocess\nsubprocess.run(['pip', 'install', 'a'])", "%pin a"),
    ("import os\nos.system('pip install a')", "%pin a"),
    ("try:\n    import a\nexcept ImportError:\n    !pip install a", "%pin a"),
    ("if 'google.colab' in str(get_ipython()):\n    !pip install a", "%pin a"),
    ("pip install a==1", "%pin a==1"),
    (
        "!pip install git+https://github.com/me/x@v1#subdirectory=python/y",
        "%pin 'y @ git+https://github.com/me/x@v1#subdirectory=python/y'",
    ),
    (
        "try:\n    import a, b; n = f'a=={a.__version__}'\nexcept: n = 'a'\n!pip install {n} c",
        "%pin a c",
    ),
    (CLONE, "%github clone me/work"),
    (
        "!git clone -b dev --depth 1 https://github.com/me/work w",
        "%github clone me/work@dev w --depth 1",
    ),
    (CLONE + "%cd work\n!git checkout 1a2b3c4", "%github clone me/work@1a2b3c4"),
    (CLONE + "!git -C work submodule update --init", "%github clone me/work --submodules"),
    ("!rm -rf work\n" + CLONE, "%github clone me/work"),
    ("!git clone git@github.com:me/work.git", "%github clone git@github.com:me/work.git"),
    ("!git clone https://<TOKEN>@github.com/me/work", "%github clone me/work --token GITHUB_TOKEN"),
    ("from google.colab import drive\ndrive.mount('/content/drive')", "%drive mount"),
    ("drive.mount('/mnt/d', force_remount=True)", "%drive mount /mnt/d"),
    ('%cd "/content/drive/My Drive/a b"', "%cd_persist 'drive:a b'"),
    ("%cd -q /content/drive/My Drive/a  b", "%cd_persist 'drive:a b'"),
    ("name = 'a b'\n%cd {name}", "%cd_persist 'a b'"),
    ("%cd x # y", "%cd_persist 'x # y'"),
    ("import os\nos.chdir('/content/x')", "%cd_persist x"),
    ("import os\nos.chdir('/content/drive/My Drive/a b')", "%cd_persist 'drive:a b'"),
    ("!cd /content/drive/My\\ Drive/a && pip install -r r.txt", "%pin -r drive:a/r.txt"),
    ("!mkdir x\n%cd x", "%cd_persist x --make"),
    ("!wget -q https://h.example/a.csv -P /content/d", "%fetch https://h.example/a.csv d/"),
    ("!curl -L -o d/b.csv https://h.example/a.csv", "%fetch https://h.example/a.csv d/b.csv"),
    (
        "!wget https://h.example/a.zip\n!unzip -q a.zip -d d\n!rm a.zip",
        "%fetch https://h.example/a.zip d/ --unpack",
    ),
    (
        "!gdown --id 1a2B3c4D5e6F7g8H9i0J -O m.pt",
        "%fetch https://drive.google.com/uc?id=1a2B3c4D5e6F7g8H9i0J m.pt",
    ),
    ("!cp /content/drive/MyDrive/a.csv ./", "%fetch drive:a.csv"),
    ("!cp /content/drive/My\\ Drive/a\\ b.csv .", "%fetch 'drive:a b.csv'"),
    ("!tar -xzf '/content/drive/My Drive/a.tgz' -C d", "%fetch drive:a.tgz d/ --unpack"),
    ("!kaggle datasets download -d me/set -p d --unzip", "%fetch kaggle://me/set d/ --unpack"),
    ("!apt-get -qq install -y vim gdb > /dev/null 2>&1", "%apt vim gdb"),
    ("!sudo DEBIAN_FRONTEND=noninteractive apt install vim", "%apt vim"),
    ("import os\nos.environ['A'] = 'b c'", "%env_persist 'A=b c'"),
    ("%env A = b", "%env_persist A=b"),
    ("!export A=b", "%env_persist A=b"),
    ("os.environ['PATH'] = '/x:' + os.environ['PATH']", "%env_persist --prepend PATH=/x"),
    ("os.environ['A_KEY'] = userdata.get('A_KEY')", "%secret A_KEY"),
    ("import getpass, os\nos.environ['A_KEY'] = getpass.getpass()", "%secret A_KEY"),
    ("os.environ['A_TOKEN'] = 'abcdef123456'", "%secret A_TOKEN"),
    ("import sys\nsys.path.append('/content/work')", "%env_persist --append PYTHONPATH=work"),
    ("!nvidia-smi", "%gpu"),
    ("import torch\nassert torch.cuda.is_available(), 'no GPU'", "%gpu require"),
    ("import torch\nprint(torch.cuda.is_available())", "%gpu"),
    ("x = 'a==1'  #@param {type:'string'}\n!pip install {x}", "%pin a==1"),
    ("x: str = 'a==1'\n!pip install {x}", "%pin a==1"),
    ("P = Path('w').resolve()\n%cd {P}", "%cd_persist w"),
    ("P = Path.home() / 'w'\n%cd {P}", "%cd_persist ~/w"),
    (
        "os.environ['PATH'] = '/x:' + os.environ.get('PATH', '')",
        "%env_persist --prepend PATH=/x",
    ),
    ("%%capture\n!pip install a", "%pin a"),
    ("%%bash\nset -e\npip install -q a", "%pin a"),
    ("!pip uninstall -y a\n!pip install a==1", "%pin a==1"),
    ('!if [ ! -d "work" ]; then ' + CLONE[1:-1] + "; fi", "%github clone me/work"),
    ("![ -d work ] || " + CLONE[1:], "%github clone me/work"),
    ("!test ! -f a.csv && wget -q https://h.example/a.csv", "%fetch https://h.example/a.csv"),
    ("%%bash\nif [ ! -d work ]\nthen\n  " + CLONE[1:] + "fi\n", "%github clone me/work"),
    ("!cd work && python setup.py develop --user", "%pin -e work"),
    ("!if [ -d a ] && [ -d b ]; then pip install a; fi", "%pin a"),
    ("import os\nos.environ.update({'A': '1'})", "%env_persist A=1"),
    ("import os\nos.environ.setdefault('A', '1')", "%env_persist A=1"),
    (
        "import gdown\ngdown.download(id='1a2B3c4D5e6F7g8H9i0J', output='m.pt')",
        "%fetch https://drive.google.com/uc?id=1a2B3c4D5e6F7g8H9i0J m.pt",
    ),
    (
        "from urllib.request import urlretrieve\nurlretrieve('https://h.example/a.csv', 'a.csv')",
        "%fetch https://h.example/a.csv a.csv",
    ),
    (
        "!wget https://h.example/a.7z\n!7z x a.7z -od",
        "%fetch https://h.example/a.7z d/ --unpack",
    ),
    (CLONE + "!cd work && git lfs pull", "%github clone me/work --lfs"),
    ("!uv add a", "%pin a"),
    ("%cd work\n%pin -r r.txt", "%pin -r work/r.txt"),
    ("%cd_persist work\n!pip install -r r.txt", "%pin -r work/r.txt"),
    ("%env PATH=$PATH:/x", "%env_persist --append PATH=/x"),
    ("!curl -sL https://h.example/a.csv > d/a.csv", "%fetch https://h.example/a.csv d/a.csv"),
    (CLONE + CLONE + "!git -C work checkout v1", "%github clone me/work@v1"),
    ("!wget https://h.example/a.csv\n" * 2, "%fetch https://h.example/a.csv"),
    ("P = os.path.join(os.getcwd(), 'w')\n" + CLONE[:-1] + " {P}", "%github clone me/work w"),
]


@pytest.mark.parametrize(("cell", "step"), STEPS, ids=[cell for cell, _ in STEPS])
def test_each_spelling_becomes_its_step(cell: str, step: str) -> None:
    """One line, which reads back as one step; nothing of the cell is left to be run."""
    found = [text for text in lines(cell) if step.startswith("%cd") or not text.startswith("%cd")]
    assert found == [step]
    assert [line.step is not None for line in parse(step)] == [True]
    assert {entry.verdict for entry in entries(cell)} <= {"step", "dropped"}


SAFE = [
    ("!echo 'deb https://h.example/apt stable x' > /etc/apt/sources.list.d/x.list", ""),
    ("!curl -s https://h.example/x.gpg | sudo apt-key add -", ""),
    ("!sudo add-apt-repository -y ppa:me/x", ""),
    ("!chmod 600 /root/.kaggle/kaggle.json", ""),
    ("!mkdir out", "!mkdir -p out"),
    ("!mv a.csv out/", "![ -e out/a.csv ] || mv a.csv out/a.csv"),
    ("!unzip -oq a.zip -d out", "!unzip -n -q a.zip -d out"),
    ("!ln -s /data/set .", "!ln -sfn /data/set ./set"),
    ("!tar xzf a.tgz -C out", "!tar --skip-old-files -xf a.tgz -C out"),
    ("!7z x a.7z -oout", "!7z x -y -aos a.7z -oout"),
    ("!rsync -av /content/drive/MyDrive/d/ d", "!rsync -a /content/drive/MyDrive/d/ d"),
]


@pytest.mark.parametrize(("code", "line"), SAFE)
def test_a_line_of_the_shell_is_made_safe_to_run_twice(code: str, line: str) -> None:
    """It is a line of the setup cell that is the same on each run."""
    assert lines(code) == [line or code]
    assert [entry.verdict for entry in entries(code)] == ["step"]


COLAB = "import sys\nIN_COLAB = 'google.colab' in sys.modules\n"
BRANCHES = [
    (COLAB + "if IN_COLAB:\n    !pip install a\nelse:\n    !pip install b", ["%pin a"]),
    (COLAB + "if not IN_COLAB:\n    !pip install a\nelse:\n    !pip install b", ["%pin b"]),
    (COLAB + "if not IN_COLAB:\n    !pip install a", []),
    (
        "if 'COLAB_' not in ''.join(os.environ.keys()):\n    !pip install a\nelse:\n"
        "    !pip install b",
        ["%pin b"],
    ),
    (
        "if os.environ.get('COLAB_GPU') is None:\n    !pip install a\nelse:\n    !pip install b",
        ["%pin b"],
    ),
    ("if 'kaggle_secrets' in sys.modules:\n    !pip install a", []),
    (COLAB + "import os\nif IN_COLAB and 'X' in os.environ:\n    !pip install a", []),
    ("KAGGLE_READY = True\nif KAGGLE_READY:\n    !pip install a", []),
    (
        COLAB
        + "if IN_COLAB:\n    from google.colab import drive\n    drive.mount('/content/drive')"
        "\n    ROOT = '/content/drive/My Drive/x'\nelse:\n    ROOT = '.'\n%cd {ROOT}",
        ["%drive mount", "%cd_persist drive:x"],
    ),
]


@pytest.mark.parametrize(("cell", "expected"), BRANCHES)
def test_the_branch_for_colab_is_taken(cell: str, expected: List[str]) -> None:
    """Whatever way its condition is put; a branch for another host alone is left."""
    assert lines(cell) == expected


def test_code_beside_the_test_for_colab_is_not_dropped() -> None:
    """The statement that sets IN_COLAB is needless only where it does nothing else."""
    setting = "try:\n    import google.colab\n    X = go() or True\nexcept ImportError:\n    X = 0"
    plan = plan_of(f"def go(): pass\n{setting}\n!pip install a\n!pip install b", chosen=[0])
    (entry,) = [x for x in plan.cells[0].entries if x.first == 2]
    assert (entry.verdict, entry.became[-1:]) == ("verbatim", (setting,))


def test_a_value_of_a_branch_stays_where_others_use_it() -> None:
    """The steps of the branch are taken, and its statement keeps defining the name."""
    cell = COLAB + "if IN_COLAB:\n    !pip install a\n    ROOT = '/x'\nelse:\n    ROOT = '.'"
    plan = plan_of(cell, "load(ROOT)")
    assert [item.text for item in plan.items] == ["%pin a"]
    assert [(x.verdict, x.became) for x in plan.cells[0].entries][2:] == [("verbatim", ())]
    assert entries(cell)[2].verdict == "step"


@pytest.mark.parametrize("index", ["", " --index-url https://download.pytorch.org/whl/cu121"])
def test_the_version_of_an_exact_build_is_known(index: str) -> None:
    """Of PyTorch from an index of its own; what PyPI has may be any build."""
    cell = f"!pip install torch==2.1.0{index}\nimport torch\n!pip install x -f https://h.example/"
    found = lines(cell + "{torch.__version__}.html")
    expected = ["%pin x --find-links https://h.example/2.1.0+cu121.html"] if index else []
    assert found[1:] == expected


DROPPED = [
    "%tensorflow_version 1.x",
    "import os\nos.kill(os.getpid(), 9)",
    "exit()",
    "!ls -la | head -3",
    "print('done')",
    "!pip install --upgrade pip",
    "!apt-get update",
    "!nvcc --version",
    "!cd work",
    "!git lfs install",
    "!pip install a",
    "%load_ext colab_magics",
    "%pwd",
    "%env PATH",
]


@pytest.mark.parametrize("code", DROPPED)
def test_what_is_not_needed_is_dropped_with_a_reason(code: str) -> None:
    """It becomes nothing, and the entry says why."""
    found = [entry for entry in entries(f"!pip install a\n{code}") if entry.first > 1]
    assert {entry.verdict for entry in found} == {"dropped"} and all(x.why for x in found)


OTHERS = [
    "x = train()",
    "for i in range(3):\n    !pip install a{i}",
    "!curl https://h.example/x.sh | sh",
    "!pip install a --no-build-isolation",
    "!pip install {unknown}",
    "!wget --header='X: y' https://h.example/a",
    "!python train.py",
    "!git config --global user.name me",
    "files.upload()",
    "!cp -r out/* /content/drive/MyDrive/out/",
    "!rm -rf results",
    "if ready():\n    !pip install a",
    "with open('x', 'w') as f:\n    f.write('y')",
    "!pip install a > log.txt",
    "!if [ -n x ]; then pip install a; fi",
    "![ -d x ] || pip install a; fi",
    "!if [ -d x ]; then cd x; fi; pip install -r r.txt",
    "!if [ -d x ]; then pip install a; else pip install b; fi",
    "!python setup.py build_ext --inplace",
    "!if [ -d x ]; then pip install a; fi > log.txt",
    "![ -d x ] & pip install a",
    "![ -d x ] && pip install a || pip install b",
    "![ -d x ]",
    "print(y := 1)",
]


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_not_understood_keeps_its_place(code: str) -> None:
    """Between steps it is in the setup cell, as it was; where that cannot be, it stays."""
    cell = f"def train(): pass\ndef ready(): pass\n!pip install one\n{code}\n!pip install two"
    plan = plan_of(cell)
    (entry,) = [entry for entry in plan.cells[0].entries if entry.first == 4]
    assert entry.verdict == "verbatim" and entry.why
    if entry.became:
        texts = [item.text for item in plan.items]
        assert texts.index("%pin one") < texts.index(code) < texts.index("%pin two")
    else:
        assert any(word in code for word in ("unknown", "files", "cd "))


def test_a_definition_goes_with_the_code_that_needs_it() -> None:
    """With what it needs in turn; names that no code has keep the code in its cell."""
    cell = "import math\nn = str(math.pi)\n!pip install a\n!tool {n}\n!pip install b"
    assert lines(cell) == ["%pin a", "import math", "n = str(math.pi)", "!tool {n}", "%pin b"]
    assert lines("!pip install a\n!tool {n}\n!pip install b") == ["%pin a", "%pin b"]


def test_an_import_within_a_branch_goes_with_its_steps() -> None:
    """Another cell reads the name: the setup cell, which takes the branch, imports it."""
    cell = (
        COLAB
        + "if IN_COLAB:\n    from google.colab import drive as d\n    d.mount('/content/drive')"
    )
    assert lines(cell) == ["%drive mount"]
    assert lines(cell, "d.flush_and_unmount()") == [
        "%drive mount",
        "from google.colab import drive as d",
    ]


def test_a_name_in_a_cell_that_python_cannot_read_is_not_dropped() -> None:
    """It may be read there."""
    plan = plan_of("import os\nURL = 'x'\n!pip install {URL}", "print URL")
    assert [entry.verdict for entry in plan.cells[0].entries] == ["dropped", "verbatim", "step"]


def test_a_line_of_no_statement_is_covered() -> None:
    """Such as a backslash alone, at the start and further down."""
    assert lines("\\\nx = 1\n!pip install a\n\\\ny = 1") == ["%pin a"]


def test_a_name_that_others_use_is_not_dropped() -> None:
    """Another cell reads it: its definition stays, and its value is in the line all the same."""
    setup = "import os\nURL = 'https://github.com/me/work'\n!git clone {URL}"
    first = plan_of(setup, "print(URL, os.name)\nx = model(URL)")
    assert [entry.verdict for entry in first.cells[0].entries] == ["verbatim", "verbatim", "step"]
    assert {entry.verdict for entry in entries(setup)} == {"step", "dropped"}
    secret = "from google.colab import userdata\nkey = userdata.get('A_KEY')"
    assert lines(secret, "call(key)") == [
        "%secret A_KEY",
        "key = __import__('os').environ['A_KEY']",
    ]


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("import gc, os.path", "dropped"),
        ("import matplotlib.pyplot as plt", "dropped"),
        ("from pathlib import Path", "dropped"),
        ("import tensorflow_text as text", "verbatim"),
        ("from unsloth import FastModel", "verbatim"),
        ("import torch", "verbatim"),
        ("from os import *", "verbatim"),
        ("from . import helper", "verbatim"),
    ],
)
def test_an_import_that_may_do_something_stays(code: str, verdict: str) -> None:
    """A package may register or patch something; the standard library only defines names."""
    entry = entries(f"!pip install a\n{code}\n!pip install b")[1]
    assert (entry.verdict, entry.became) == (verdict, ()) and entry.why
    step = "print(x.cuda.is_available())"
    assert entries(f"!pip install a\nimport torch as x\n{step}")[1].verdict == "dropped"


ASKING = [
    "from google.colab import files\nup = files.upload()",
    "from huggingface_hub import notebook_login\nnotebook_login()",
    "x = 1\nname = input('which? ')",
]


@pytest.mark.parametrize("code", ASKING)
def test_what_asks_a_person_stays_with_what_follows_it(code: str) -> None:
    """A setup cell waits for nobody, and code behind a question may need its answer."""
    cell = f"!pip install a\n{code}\n!cp kaggle.json /root\n!pip install b\n!tool x\n!pip install c"
    plan = plan_of(cell, chosen=[0])
    assert [item.text for item in plan.items] == ["%pin a", "%pin b", "%pin c"]
    stays = [x for x in plan.cells[0].entries if x.first in (3, 4, 6)]
    assert [(x.verdict, x.became) for x in stays] == [("verbatim", ())] * 3


def test_a_variable_of_the_environment_is_put_in_where_its_value_is_known() -> None:
    """As the shell would; not in single quotes, and not once anything may have changed it."""
    setting = "import os\nos.environ['PLACE'] = '/content/w'\n"
    script = f'%%bash\n{CLONE[1:-1]} "$PLACE"\ncd ${{PLACE}}\npip install -r r.txt'
    steps = ["%env_persist PLACE=/content/w", "%github clone me/work w", "%pin -r w/r.txt"]
    assert lines(setting, script) == steps
    assert lines(setting + "!pip install -r $PLACE/r.txt")[1:] == steps[2:]
    for change in ("os.environ['PLACE'] = choose()", "%env PLACE={choose()}", "!x; PLACE=$PLACE"):
        assert lines(setting, f"def choose(): pass\n{change}", script) == steps[:1], change
    for quoted in ("'$PLACE'", "\\$PLACE", "$OTHER"):
        assert lines(setting, f"!mkdir a\n{CLONE[:-1]} {quoted}")[1:] == ["!mkdir -p a"], quoted


def test_a_token_in_a_url_is_named() -> None:
    """What a variable holds that is a secret goes by its name."""
    cell = "from google.colab import userdata\nt = userdata.get('GH')\n"
    clone = "!git clone https://{t}@github.com/me/work"
    assert lines(cell + clone) == ["%secret GH", "%github clone me/work --token GH"]


def test_folders_are_followed() -> None:
    """Paths count from the folder of their line; code is run in the folder that it had."""
    cell = CLONE + "%cd work\n!pip install -r r.txt\n!sh build.sh\n%cd ..\n!pip install -r s.txt"
    assert lines(cell) == [
        "%github clone me/work",
        "%pin -r work/r.txt",
        "%cd_persist work",
        "!sh build.sh",
        "%pin -r s.txt",
        "%cd_persist .",
    ]
    cell = "%cd {where}\n!pip install -r r.txt\n!tool\n!pip install a"
    assert lines(cell, chosen=[0]) == ["%pin a"]


def test_a_folder_with_spaces_is_all_of_the_line() -> None:
    """As IPython reads %cd; what is below it counts from there, and none of it stays."""
    cell = "%cd /content/drive/My Drive/a b\n" + CLONE
    cell += "!wget https://h.example/x.zip\n!unzip -q x.zip"
    assert lines(cell) == [
        "%github clone me/work 'drive:a b/work'",
        "%fetch https://h.example/x.zip 'drive:a b/' --unpack",
        "%cd_persist 'drive:a b'",
    ]
    assert {entry.verdict for entry in entries(cell)} == {"step", "dropped"}
    assert not lines("%cd -\n!pip install -r r.txt", chosen=[0])


def test_a_folder_is_not_changed_above_cells_that_stay() -> None:
    """A cell that is not adopted counts on the folder that it has: the move stays below it."""
    plan = plan_of("!pip install a", "data = load('x.csv')", CLONE + "%cd work\n!pip install -e .")
    assert [item.text for item in plan.items] == ["%pin a", "%github clone me/work", "%pin -e work"]
    (move,) = [x for x in plan.cells[2].entries if x.first == 2]
    assert (move.verdict, move.became) == ("verbatim", ())


NONE_OF_OURS = [
    "import numpy as np\nx = np.ones(3)",
    "model.fit(x)\nplot(x)\nsave(x)\nos.environ['A'] = 'b'",
    "!ls",
    "",
    "# only a comment",
    "%%html\n<b>x</b>",
    f"{MARKER}\n%pin a==1",
]


@pytest.mark.parametrize("cell", NONE_OF_OURS)
def test_a_cell_that_is_none_of_ours_is_left_alone(cell: str) -> None:
    """It becomes nothing, and no line of it is taken."""
    plan = plan_of(cell)
    assert not plan.items and not plan.adopted


def test_a_literal_secret_goes_nowhere() -> None:
    """Neither into a step nor with code: its statement stays where it is."""
    plan = plan_of(f"!pip install a\n!login {TOKEN}\n!pip install b", chosen=[0])
    assert TOKEN not in json.dumps([item.text for item in plan.items])
    assert lines(f"import os\nos.environ['HF_TOKEN'] = '{TOKEN}'") == ["%secret HF_TOKEN"]


@pytest.mark.parametrize(
    "name", ["a;touch x", "a && touch x", "$(touch x)", "`touch x`", "x\ny", "-rf", "a'b", "{x}"]
)
def test_no_name_becomes_code(name: str) -> None:
    """A word of a stranger's that is quoted there is one word here, or is not taken."""
    for cell in (f"import os\nos.makedirs({name!r}, exist_ok=True)", f"os.chdir({name!r})"):
        for text in lines(cell, chosen=[0]):
            assert "\n" not in text and ("touch" not in text or "'" in text)
            assert all(line.step or line.text.startswith("!mkdir") for line in parse(text))


HOSTILE = [
    "!pip install a\n" * 10_000,
    "x = " + "(" * 5000 + ")" * 5000,
    "!pip install a\0b",
    "!" + "x" * 100_000,
    "x = " + "+".join(["'a'"] * 5000),
    "".join("  " * n + "if x:\n" for n in range(200)),
    "%%bash\n" + "(" * 10_000,
    "!pip install 'a",
    "def f(:\n!pip install a",
    "!pip install a\u2028!rm x",
    "!git clone " + "{" * 5000,
    "'''\n" + "!ls\n" * 1400,
]


@pytest.mark.parametrize("cell", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_cell_stays_as_it_is(cell: str) -> None:
    """No crash, within a second, and nothing of it is taken."""
    begun = time.process_time()
    assert not plan_of(cell).items
    assert time.process_time() - begun < 1


def test_versions_are_offered() -> None:
    """Those installed, or of a day; what has a version or a place keeps it."""
    cell = "!pip install a b==1 c\n!pip install d -f https://h.example/x"
    installed = Versions({"a": "3.1"})
    assert lines(cell, versions=installed)[0] == "%pin a==3.1 b==1 c"
    dated = lines(cell, versions=Versions(day="2024-05-01"))
    assert dated == ["%pin a b==1 c --as-of 2024-05-01", lines(cell)[1]]


# ---------------------------------------------------------------------- files
def run(capsys: pytest.CaptureFixture[str], *words: object) -> Tuple[int, str]:
    """Run the command; give its status, and what it printed on either stream."""
    status = main(["setup", "adopt", *map(str, words)])
    return status, "".join(capsys.readouterr())


CELLS = ("!pip install a==1\nprint('ok')", "x = 1", "%cd work\n!python go.py")


def test_a_dry_run_shows_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line with what it becomes and why; with --json one object."""
    path = notebook(tmp_path / "nb.ipynb", *CELLS)
    before = path.read_bytes()
    status, text = run(capsys, path, "--dry-run")
    assert status == 0 and "%pin a==1" in text and "it runs a program of yours" in text
    status, text = run(capsys, path, "--dry-run", "--json")
    cells: List[Dict[str, Any]] = json.loads(text)["cells"]
    assert [cell["index"] for cell in cells] == [0, 1, 2]
    assert cells[0]["entries"][0]["lines"] == [1, 1] and cells[1]["adopted"] is False
    assert path.read_bytes() == before and [*tmp_path.glob("*")] == [path]


def test_the_line_above_the_table_counts_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the singular and in the plural."""
    single = notebook(tmp_path / "a.ipynb", "!pip install a\nprint('ok')\n!python go.py")
    line = "1 becomes a step, 1 stays as it is, 1 is not needed."
    assert line in run(capsys, single, "--dry-run")[1]
    several = notebook(tmp_path / "b.ipynb", "!pip install a", "!pip install b")
    line = "2 become steps, 0 stay as they are, 0 are not needed."
    assert line in run(capsys, several, "--dry-run")[1]


def test_applied_replaced_and_undone(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old cells stay; as comments with --replace; undo gives the bytes back, once."""
    path = notebook(tmp_path / "nb.ipynb", *CELLS)
    before = path.read_bytes()
    assert run(capsys, path)[0] == 0
    assert (setup_text(path) or "").split("\n")[-2:] == ["%pin a==1", "%cd_persist work"]
    assert tuple(map(source, whole(path)["cells"][1:])) == CELLS
    after = path.read_bytes()
    status, text = run(capsys, path)
    assert status == 0 and "Nothing was changed" in text and path.read_bytes() == after
    assert run(capsys, path, "--undo")[0] == 0 and path.read_bytes() == before
    assert run(capsys, path, "--undo")[0] == 1

    adopt(path, replace_old=True)
    old = source(whole(path)["cells"][1]).split("\n")
    assert old == [MARK, "# !pip install a==1", "# print('ok')"]
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(NotebookError) as caught:
        undo(path)
    assert caught.value.code == "changed-since"


def test_chosen_cells_and_a_setup_cell_that_is_there(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Numbers count from 1; a step whose subject is recorded is merged into its line."""
    setup = f"{MARKER}\n%pin a==0.9\n# mine"
    path = notebook(tmp_path / "nb.ipynb", setup, "!pip install b", "!pip install a==1 c")
    assert run(capsys, path, 3)[0] == 0
    assert (setup_text(path) or "").split("\n")[1:] == ["%pin a==1 c", "# mine"]
    status, text = run(capsys, path, 9)
    assert status == 1 and "Cell 9" in text


def test_a_file_of_another_style_keeps_its_bytes(tmp_path: Path, home: Path) -> None:
    """Cells that are not touched stay as they are written, whatever wrote them."""
    path = notebook(tmp_path / "nb.ipynb", *CELLS, minor=4)
    text = path.read_text().replace("\n", "\r\n")
    path.write_bytes(text.encode())
    adopt(path)
    written = path.read_bytes()
    assert b'"x = 1"' in written and b"\n" not in written.replace(b"\r\n", b"")

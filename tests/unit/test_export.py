"""A set-up in the formats of other tools: what is held, what is not, and values stay values."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.notebooks import MARKER, notebook, setup_text

from colab_magics.__main__ import main
from colab_magics.core.errors import NotebookError
from colab_magics.core.host import Host
from colab_magics.core.registry import load
from colab_magics.export import recipe as kinds
from colab_magics.export.formats import FORMATS, Export, make
from colab_magics.export.importer import read
from colab_magics.export.recipe import Place, Recipe
from colab_magics.pin.plan import parse_toml
from colab_magics.record.cell import brief, parse
from colab_magics.setup.magic_check import Recorded
from colab_magics.setup.magic_import import read_steps
from colab_magics.setup.magic_recipe import make_recipe

pytestmark = pytest.mark.once

SHA = "1" * 40
LOCK = 'lock-version = "1.0"\npackages = []\n'
SCHEMA = Path(__file__).parents[1] / "cases" / "devcontainer.schema.json"
#: What some shell, template or parser would take for more than a word.
NASTY = [
    "it's",
    'a"b',
    "a;touch ran",
    "$(touch ran)".replace("$", "`") + "`touch ran`",
    "a\\",
    "\\'; touch ran #",
    "a b  c",
    "# no comment",
    "<<EOF",
    "!ls",
    "%cd x",
    "-rf",
    "*",
    "a|b&c>d",
    "- item: [x]",
    "\u00e9\u4e2d\U0001f600",
    "what?",
    "'''",
    "~user/x",
]


def recipe_of(*lines: str, **recorded: Any) -> Recipe:
    """The recipe of a setup cell with these lines, in the working directory."""
    text = "\n".join((MARKER, "%reload_ext colab_magics", *lines))
    return make_recipe("nb", parse(text), Recorded(**recorded), Host(start=Path.cwd()))


def export(name: str, *lines: str) -> Export:
    """A setup cell with these lines in a format."""
    recipe = recipe_of(*lines)
    return make(name, Recipe(recipe.name, recipe.items, "3.12", LOCK))[1]


def text_of(name: str, *lines: str) -> str:
    """Its files one behind the other."""
    return "".join(text for _, text in export(name, *lines).files)


def left_out(name: str, *lines: str) -> List[Tuple[str, str]]:
    """Line and code of what is not held."""
    return [(x.line, x.code) for x in export(name, *lines).omissions]


#: Each kind of line, in the order of a setup cell.
LINES = {
    "gpu": "%gpu require T4",
    "secret": "%secret HF_TOKEN",
    "drive": "%drive mount",
    "apt": "%apt ffmpeg",
    "clone": f"%github clone me/work --commit {SHA}",
    "pin": "%pin tinypkg==1.0",
    "fetch": "%fetch https://x.example/a.csv data/a.csv",
    "env": "%env_persist MODE=fast",
    "code": "print('mine')",
    "cd": "%cd_persist sub",
}
HELD = {
    "plain": "secret apt clone pin fetch env code cd",
    "requirements": "pin",
    "pylock": "pin",
    "pep723": "secret apt clone pin fetch env code cd",
    "environment.yml": "pin env",
    "dockerfile": "apt clone pin fetch env cd",
    "binder": "apt clone pin fetch env",
    "devcontainer": "gpu secret apt clone pin fetch env",
    "shell": "secret apt clone pin fetch env cd",
    "wheelhouse": "pin",
    "ray": "pin env",
    "dask": "pin env",
    "modal": "gpu secret apt clone pin fetch env cd",
    "skypilot": "gpu secret apt clone pin fetch env",
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_line_is_held_or_named(name: str) -> None:
    """A format that is registered says of each kind of line that it has it, or why not."""
    assert load(FORMATS[name]).name == name
    result = export(name, *LINES.values())
    omitted = {x.line for x in result.omissions if not x.part}
    held = {kind for kind, line in LINES.items() if brief(line) not in omitted}
    assert held == {*HELD[name].split()}
    assert all(x.code and x.reason for x in result.omissions)
    data = json.loads(json.dumps(result.as_json()))
    assert (data["schema"], data["format"]) == (1, name)
    assert [file["path"] for file in data["files"]] == [path for path, _ in result.files]
    assert ("mine" in "".join(text for _, text in result.files)) == ("code" in held)


def test_lines_that_no_format_holds() -> None:
    """Each by a code: what is on the drive, takes a login, or would be expanded."""
    lines = {
        "%cd_persist drive:x": "on-drive",
        "%fetch https://x.example/a.zip d/ --unpack": "unpack",
        "%fetch https://x.example/a.csv --token T": "login",
        "%github clone me/x --token T": "login",
        "%fetch hf://me/data/a.csv --token T": "login",
        "%env_persist 'A=$HOME/x'": "expanded",
        "%pin ==": "unreadable",
        "%setup auto off": "not-held",
        "%pin -r none.txt": "no-file",
        "%pin -e 'my folder'": "unsafe",
        "%pin 'x @ git+https://me:hunter2@x.example/x'": "secret",
    }
    for line, code in lines.items():
        result = export("shell", line)
        assert [x.code for x in result.omissions] == [code], line
        assert "hunter2" not in json.dumps(result.as_json())


def test_a_path_behind_cd_counts_from_the_start() -> None:
    """A script would look for it below the folder: it is named instead."""
    lines = ("%cd_persist sub", "%fetch https://x.example/a.csv data/a.csv")
    assert left_out("shell", *lines) == [(lines[1], "after-cd")]


def test_the_head_of_the_cell_is_not_code_of_the_user() -> None:
    """What installs and loads us is dropped, and nothing beside it, whatever it looks like."""
    head = [
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        "    %pip install -q git+https://x.example/colab_magics@1",
        "%reload_ext colab_magics",
    ]
    own = ["try:", "    import helper", "except ImportError:", "    helper = None"]
    assert text_of("plain", *head, *own).split("\n")[-5:-1] == own
    assert "colab_magics" not in text_of("pep723", *head, *own)


@pytest.mark.parametrize("name", ["requirements", "environment.yml", "ray"])
def test_lines_with_options_of_their_own(name: str) -> None:
    """An index of one line is never asked for the packages of the others."""
    other = "%pin tinyother==2.0 --index-url https://i.example/simple"
    lines = ("%pin a==1 b==2", other)
    assert left_out(name, *lines) == [(other, "other-options")]
    assert "i.example" not in text_of(name, *lines)
    alone = text_of(name, other)
    assert "https://i.example/simple" in alone and "tinyother==2.0" in alone


def test_an_index_of_one_line_in_a_script() -> None:
    """PEP 723 with uv names the packages that come from it, and no others do."""
    other = "%pin tinyother==2.0 --index-url https://i.example/simple"
    head = script_head(text_of("pep723", "%pin a==1 b==2", other))
    (index,) = head["tool"]["uv"]["index"]
    assert index["url"] == "https://i.example/simple" and index["explicit"] is True
    assert head["tool"]["uv"]["sources"] == {"tinyother": {"index": index["name"]}}
    assert head["dependencies"] == ["a==1", "b==2", "tinyother==2.0"]


def test_an_option_that_is_lost_is_named() -> None:
    """The line is held, and the option is named; an option for which nothing stands is not lost."""
    line = "%pin tinypkg --as-of 2024-01-01"
    (omission,) = export("requirements", line).omissions
    assert (omission.code, omission.part) == ("option", "--as-of 2024-01-01")
    assert text_of("requirements", line) == "tinypkg\n"
    assert "exclude-newer" in text_of("pep723", line) and "exclude-newer" in text_of("shell", line)
    assert left_out("pep723", "%pin a --no-deps")[0][1] == "option"


def test_a_lock_names_the_pins_that_it_does_not_fulfil() -> None:
    """A pin that was edited since is named; without a lock there is none to export."""
    items = recipe_of("%pin tinypkg==2.0 tinyother==1.0").items
    lock = Recipe("nb", items, "3.12", LOCK, (("tinypkg", "1.0"), ("tinyother", "1.0")))
    result = make("pylock", lock)[1]
    assert [(x.code, x.part) for x in result.omissions] == [("not-in-lock", "tinypkg==2.0")]
    assert result.files == (("pylock.toml", LOCK),)
    with pytest.raises(NotebookError) as refused:
        make("pylock", Recipe("nb", items))
    assert refused.value.code == "no-lock"


# ---------------------------------------------------------------------- values stay values
def script_head(text: str) -> Dict[str, Any]:
    """The head of a script as PEP 723 reads it."""
    block = re.search(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", text)
    assert block is not None
    lines = block["content"].splitlines()
    return parse_toml("\n".join(x[2:] if x.startswith("# ") else x[1:] for x in lines))


def hostile(value: str) -> Recipe:
    """A recipe with this value wherever one can be."""
    items = (
        kinds.Variables("env", ("NASTY",), (value,)),
        kinds.Variables("env", ("FOLDERS",), (value,), "prepend"),
        kinds.Directory("cd", Place(value), make=True),
    )
    return Recipe("nb", items, "3.12", LOCK)


VALUES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1)


@settings(max_examples=60, deadline=None)
@given(value=VALUES)
def test_a_value_is_a_literal_in_every_language(value: str) -> None:
    """Python reads the same text back, JSON too; Docker's instructions stay one line each."""
    yaml = pytest.importorskip("yaml")
    try:
        recipe = hostile(value)
    except ValueError:
        assert set(value) & set("${}")
        return
    for name in ("plain", "pep723", "dask", "modal"):
        tree = ast.parse(make(name, recipe)[1].files[0][1])
        constants = {x.value for x in ast.walk(tree) if isinstance(x, ast.Constant)}
        if not value.startswith("~"):
            assert value in constants, name
    for name in ("environment.yml", "devcontainer", "ray", "skypilot"):
        if value.startswith("~"):
            continue
        text = make(name, recipe)[1].files[0][1]
        assert value in flatten(json.loads(text)), name
        assert yaml.safe_load(text) == json.loads(text), name
    lines = make("dockerfile", recipe)[1].files[0][1].splitlines()
    assert {line.split()[0] for line in lines} <= {"FROM", "WORKDIR", "ENV", "RUN"}
    for line in lines:
        if line.startswith("RUN "):
            assert isinstance(json.loads(line[4:]), list)


def flatten(value: Any) -> List[Any]:
    """All leaves of data."""
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in flatten(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in flatten(each)]
    return [value]


@pytest.mark.parametrize("shell", ["sh", "dash"])
def test_a_value_is_a_word_of_the_shell(shell: str, tmp_path: Path) -> None:
    """The shells set, make and enter just what the value says, and run nothing of it."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    for value in NASTY:
        work = tmp_path / str(NASTY.index(value))
        work.mkdir()
        script = make("shell", hostile(value))[1].files[0][1]
        script += '\nprintf "%s\\n%s\\n%s" "$NASTY" "$FOLDERS" "$(pwd -P)"\n'
        done = subprocess.run([program, "-c", script], cwd=work, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), value
        path = value if not value.startswith("-") else f"./{value}"
        assert done.stdout.split("\n") == [value, f"{work}/{path}", str(work / value)]
        assert [entry.name for entry in work.iterdir()] == [value.split("/")[0]]


BAD: List[Tuple[Any, Tuple[Any, ...]]] = [
    (kinds.Variables, (("A",), ("x\ny",))),
    (kinds.Variables, (("A",), ("$(x)",))),
    (kinds.Variables, (("A",), ("\ud800",))),
    (kinds.Variables, (("A",), ("a\u202eb",))),
    (kinds.Variables, (("A B",), ("x",))),
    (kinds.Secrets, (("A=1",),)),
    (kinds.Apt, (("-o=x",),)),
    (kinds.Apt, (("a;b",),)),
    (kinds.Pins, (("a --config-settings=x",),)),
    (kinds.Pins, (("-r x",),)),
    (kinds.Pins, (("a\\",),)),
    (kinds.Pins, (("a --hash=sha256:zz",),)),
    (kinds.Pins, (("a",), (), (("--index-url", "x --pre"),))),
    (kinds.Clone, ("--upload-pack=x", Place("x"))),
    (kinds.Clone, ("https://x/y", Place("x"), "--orphan")),
    (kinds.Download, ("file:///etc/x'", Place("x"))),
    (kinds.Download, ("https://x/y", Place("x"), "12")),
    (kinds.Gpu, ('T4"',)),
]


@pytest.mark.parametrize(("kind", "values"), BAD)
def test_what_no_line_can_say_is_no_item(kind: Any, values: Tuple[Any, ...]) -> None:
    """The data that formats are made of refuses what one of them could take for code."""
    with pytest.raises(ValueError):
        kind("line", *values)
    assert next(each.name for each in fields(kind)) == "line"


def test_a_path_is_no_option() -> None:
    """A file that begins like an option is named from the folder."""
    assert Place("-rf") == "./-rf"
    assert "'./-x'" in text_of("plain", "%cd_persist ./-x")


def test_devcontainer_is_valid_by_the_schema() -> None:
    """By the schema of containers.dev, with each line that it holds."""
    jsonschema = pytest.importorskip("jsonschema")
    (_, text), (script, _) = export("devcontainer", *LINES.values()).files
    data = json.loads(text)
    jsonschema.validate(data, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert data["secrets"].keys() == {"HF_TOKEN"} and data["hostRequirements"] == {"gpu": True}
    assert data["onCreateCommand"] == ["sh", f".devcontainer/{script}"]


# ---------------------------------------------------------------------- files
def test_files_are_written_or_nothing_is(tmp_path: Path, capsys: Any) -> None:
    """A file of another's stays; ``--force`` replaces it; the same again is no error."""
    path = notebook(tmp_path / "nb.ipynb", f"{MARKER}\n{LINES['pin']}\n{LINES['apt']}")
    before = path.read_bytes()

    def run(*words: object) -> int:
        return main(["setup", "export", str(path), *map(str, words)])

    folder = tmp_path / "binder"
    folder.mkdir()
    (folder / "apt.txt").write_text("mine")
    assert run("binder", "-o", folder) == 1
    assert [x.name for x in folder.iterdir()] == ["apt.txt"]
    assert run("binder", "-o", folder, "--force") == run("binder", "-o", folder) == 0
    assert (folder / "apt.txt").read_text() == "ffmpeg\n"
    assert run("requirements", "-o", tmp_path) == 0
    assert (tmp_path / "requirements.txt").read_text() == "tinypkg==1.0\n"
    assert run("wheelhouse") == 2
    capsys.readouterr()
    assert run("requirements") == 0
    out = capsys.readouterr()
    assert out.out == "tinypkg==1.0\n" and "%apt ffmpeg" in out.err
    assert run("requirements", "--json") == 0
    assert json.loads(capsys.readouterr().out)["omissions"][0]["line"] == "%apt ffmpeg"
    assert path.read_bytes() == before


# ---------------------------------------------------------------------- import
PINS = ["%pin tinypkg==1.0 tinyother>=2", "%pin extra==3 --index-url https://i.example/simple"]


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("requirements", "requirements.txt", 1),
        ("environment.yml", "environment.yml", 1),
        ("pep723", "script.py", 2),
    ],
)
def test_what_was_exported_is_imported(name: str, file: str, count: int, tmp_path: Path) -> None:
    """The pins come back as they were, as far as the format holds them."""
    (tmp_path / file).write_text(text_of(name, *PINS), encoding="utf-8")
    steps = read_steps(tmp_path / file, Host(start=tmp_path)).steps
    assert list(steps) == [parse(line)[0].step for line in PINS[:count]]


def imported(tmp_path: Path, file: str, text: str) -> Tuple[List[str], List[str]]:
    """The words of the steps of a file, and the codes of what is left out."""
    (tmp_path / file).write_text(text, encoding="utf-8")
    result = read_steps(tmp_path / file, Host(start=tmp_path))
    return [" ".join(x.arguments()) for x in result.steps], [x.code for x in result.omissions]


def test_requirements_of_others(tmp_path: Path) -> None:
    """Continuations, comments, folders; what no line can hold is named, and a login not shown."""
    text = (
        "# pinned\nnumpy==2.1 \\\n  --hash=sha256:aa\n-e ./lib\n-r more.txt\n--no-binary :all:\n"
        "x @ git+https://me:hunter2@h.example/x\n--config-settings=a b\n; rm -rf\na$(b)==1\n"
    )
    steps, codes = imported(tmp_path, "requirements.txt", text)
    assert steps == ["-e lib", "numpy==2.1 --hash=sha256:aa"] or steps == [
        "numpy==2.1 --hash=sha256:aa",
        "-e lib",
    ]
    assert sorted(codes) == ["included", *["not-a-requirement"] * 3, "option", "option"]


def test_a_lock_a_project_and_conda(tmp_path: Path) -> None:
    """Exact versions of a lock that are for this machine, a project's own needs, conda's names."""
    pylock = (
        'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1.0"\n'
        '[[packages]]\nname = "b"\nversion = "1"\nmarker = "python_version < \'3\'"\n'
        '[[packages]]\nname = "c"\n[packages.vcs]\ntype = "git"\nurl = "https://h.example/c"\n'
        'commit-id = "abc"\n'
    )
    steps, codes = imported(tmp_path, "pylock.toml", pylock)
    assert steps == ["a==1.0 c @ git+https://h.example/c@abc"] and codes == ["hashes"]
    project = (
        '[project]\nrequires-python = ">=3.9"\ndependencies = ["a>=1"]\n'
        '[project.optional-dependencies]\ndev = ["b"]\n[tool.uv.sources]\nc = { path = "x" }\n'
    )
    assert imported(tmp_path, "pyproject.toml", project) == (["a>=1"], ["extra", "python"])
    conda = '{"dependencies": ["python=3.11", "scipy=1.2", "b==1.0=x_0", {"pip": ["c==1"]}, 7]}'
    with pytest.raises(NotebookError) as refused:
        imported(tmp_path, "environment.yml", conda)
    assert refused.value.code == "unreadable"
    steps, codes = imported(tmp_path, "environment.yml", conda.replace(", 7", ""))
    assert steps == ["scipy==1.2.* b==1.0 c==1"]
    assert codes == ["python", "conda-name", "conda-name"]


def test_a_configuration_notebook(tmp_path: Path) -> None:
    """Its lines come into another one, whose paths mean the same; its own code is named."""
    (tmp_path / "shared").mkdir()
    lines = ("%pin a==1 -e lib", "%apt ffmpeg", "print(1)", "%cd_persist data")
    other = notebook(tmp_path / "shared" / "config.ipynb", "\n".join([MARKER, *lines]))
    path = notebook(tmp_path / "nb.ipynb", "x = 1")
    before = path.read_bytes()
    assert main(["setup", "import", str(path), str(other), "--dry-run"]) == 0
    assert path.read_bytes() == before
    assert main(["setup", "import", str(path), str(other)]) == 0
    text = setup_text(path) or ""
    assert "%pin a==1 -e shared/lib\n" in text and "%cd_persist shared/data" in text
    assert "print(1)" not in text
    after = path.read_bytes()
    assert main(["setup", "import", str(path), str(other)]) == 0
    assert path.read_bytes() == after


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("x.py", "print(1)", "unreadable"),
        ("pylock.toml", "packages = 3", "unreadable"),
        ("pyproject.toml", "[", "unreadable"),
        ("environment.yml", "dependencies: 3", "unreadable"),
        ("x.docx", "", "unknown-kind"),
        ("gone.txt", "", "not-found"),
    ],
)
def test_a_file_that_is_none(file: str, text: str, code: str, tmp_path: Path) -> None:
    """One error, with its code."""
    if file.startswith("environment"):
        pytest.importorskip("yaml")
    if code != "not-found":
        (tmp_path / file).write_text(text)
    with pytest.raises(NotebookError) as refused:
        read(tmp_path / file)
    assert refused.value.code == code

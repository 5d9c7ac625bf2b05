"""What holds for every part that is registered, now and when one is added: nothing to edit here."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

import colab_magics
from colab_magics.core import errors
from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import PLACES as PLACES_OF_PATHS
from colab_magics.core.host import Host
from colab_magics.core.registry import choose, load
from colab_magics.core.steps import STEPS, Step, parse
from colab_magics.drive.providers import PROVIDERS, Provider
from colab_magics.extension.hooks import HOOKS
from colab_magics.extension.registration import MAGICS
from colab_magics.fetch.drive_cache import STORES
from colab_magics.fetch.urls import KINDS
from colab_magics.notebook.writers import WRITERS
from colab_magics.notebook.writers.base import Writer
from colab_magics.pin.installer import INSTALLERS, Installer
from colab_magics.record.cell import parse as parse_cell
from colab_magics.secret.lookup import PLACES, Place

MODULES = [
    "colab_magics",
    *(found.name for found in pkgutil.walk_packages(colab_magics.__path__, "colab_magics.")),
]
#: Every string of every registry.
TARGETS = [
    *MAGICS.values(),
    *STEPS.values(),
    *PROVIDERS.values(),
    *PLACES.values(),
    *KINDS.values(),
    *STORES.values(),
    *INSTALLERS,
    *WRITERS,
    *HOOKS,
    *PLACES_OF_PATHS.values(),
]
#: The parts of a registry, and the protocol that they follow.
PARTS = [
    *((target, Provider) for target in PROVIDERS.values()),
    *((target, Place) for target in PLACES.values()),
    *((target, Installer) for target in INSTALLERS),
    *((target, Writer) for target in WRITERS),
]


def examples(name: str) -> List[str]:
    """The lines of the examples in a magic's help."""
    text = inspect.cleandoc(load(MAGICS[name]).__doc__)
    section = text.partition("Examples\n--------\n")[2]
    return [line.strip() for line in re.split(r"\n\w+\n-+\n", section)[0].split("\n")]


def documented(name: str) -> List[Step]:
    """The steps among the examples of a magic."""
    return [line.step for text in examples(name) for line in parse_cell(text) if line.step]


EXAMPLES: List[Tuple[str, Step]] = [(name, step) for name in STEPS for step in documented(name)]


# ---------------------------------------------------------------------- registries
@pytest.mark.parametrize("target", TARGETS)
def test_every_registered_string_names_something(target: str) -> None:
    """What a registry names exists, and can be called to make the part."""
    assert callable(load(target))


@pytest.mark.parametrize(("target", "protocol"), PARTS)
def test_every_part_follows_its_protocol(target: str, protocol: Any) -> None:
    """A part has each method of its protocol, with the same arguments."""
    part = load(target)()
    for name, wanted in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(wanted):
            continue
        asked = list(inspect.signature(wanted).parameters)[1:]
        assert list(inspect.signature(getattr(part, name)).parameters) == asked, name
        assert inspect.getdoc(getattr(part, name)), name


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_a_provider_is_known_by_its_name(name: str) -> None:
    """The name that people type is the name that the provider gives itself."""
    assert load(PROVIDERS[name])().name == name


def test_the_first_part_without_a_reason_is_chosen() -> None:
    """Parts are asked in order; the reasons of those passed over are kept, by name."""
    part, reasons = choose(INSTALLERS, lambda one: None if one.name == "pip" else "not today")
    assert (part.name, reasons) == ("pip", (("uv", "not today"),))
    part, reasons = choose(INSTALLERS, lambda one: "closed")
    assert (part, reasons) == (None, (("uv", "closed"), ("pip", "closed")))


# ---------------------------------------------------------------------- modules
def test_each_module_says_what_it_is_for() -> None:
    """Each module can be imported, and begins with a docstring; each folder is a package."""
    root = Path(colab_magics.__path__[0])
    folders = {path.parent for path in root.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
    assert [name for name in MODULES if not inspect.getdoc(import_module(name))] == []


#: The libraries of other magics that a magic's library may use: a secret is asked for by many, a
#: job is a command of the shell, and what a driver can run is asked of the GPU.
MAY_USE = {"jobs": {"shell"}, "pin": {"gpu"}}


def imported(path: Path, package: str) -> Iterator[str]:
    """The modules that a file imports anywhere, by their full names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            base = resolve_name(name, package) if node.level else name
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_the_library_of_a_magic_stands_alone() -> None:
    """Only ``magic*.py`` and ``hooks.py`` know the extension, IPython and other magics."""
    root, wrong = Path(colab_magics.__path__[0]), []
    for magic in MAGICS:
        others = {*MAGICS, "extension", "setup"} - {magic, "secret"} - MAY_USE.get(magic, set())
        for path in (root / magic).rglob("*.py"):
            if path.name.startswith("magic") or path.name == "hooks.py":
                continue
            package = ".".join(["colab_magics", *path.relative_to(root).parent.parts])
            for name in imported(path, package):
                parts = name.split(".")
                if parts[0] == "IPython" or (parts[0] == "colab_magics" and parts[1] in others):
                    wrong.append(f"{path.relative_to(root)} imports {name}")
    assert wrong == []


def test_no_module_imports_itself_by_others() -> None:
    """There is no circle of imports, those inside functions and for type checking included."""
    root, needs = Path(colab_magics.__path__[0]), {}
    for path in root.rglob("*.py"):
        *package, name = ("colab_magics", *path.relative_to(root).with_suffix("").parts)
        targets = list(imported(path, ".".join(package)))
        targets += [target.rpartition(".")[0] for target in targets]
        needs[".".join([*package, *([name] if name != "__init__" else [])])] = set(targets)
    assert "colab_magics.pin.step" in needs["colab_magics.pin.lock_maker"]  # it reads the imports
    free: set[str] = set()
    while True:  # take away what imports only what was taken away
        new = {name for name in needs.keys() - free if not needs[name] & needs.keys() - free}
        if not new:
            break
        free |= new
    assert sorted(needs.keys() - free) == []


_LIGHT = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
taken = sorted(set(sys.argv[1].split()) & {*shell.magics_manager.magics["line"],
                                           *shell.magics_manager.magics["cell"]})
heavy = ["requests", "nbformat", "pynvml", "packaging", "uv", "nbclient", "ipykernel"]
for name in heavy:
    sys.modules[name] = None  # importing it is an error from now on
before = set(sys.modules)
shell.extension_manager.load_extension("colab_magics")
assert shell.run_cell("%setup auto").error_before_exec is None
shell.extension_manager.unload_extension("colab_magics")
print(taken, [name for name in heavy if sys.modules.get(name) is not None])
"""


def test_loading_is_light_and_shadows_nothing(home: Path) -> None:
    """``%load_ext`` needs no heavy package, and no magic takes the name of one of IPython's."""
    done = subprocess.run(
        [sys.executable, "-c", _LIGHT, " ".join(MAGICS)],
        cwd=str(Path(colab_magics.__file__).parent.parent),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().split("\n")[-1] == "[] []"


# ---------------------------------------------------------------------- magics and their steps
@pytest.mark.parametrize("name", list(MAGICS))
def test_a_magic_explains_itself_by_examples(name: str) -> None:
    """The help of a magic has examples, each of which can be read, and names the magic."""
    magic = load(MAGICS[name])
    assert magic.name == name
    assert inspect.cleandoc(magic.__doc__).split("\n")[0].endswith(".")
    lines = [line for line in examples(name) if line.startswith("%")]
    assert lines and all(re.match(rf"%%?{name}\b", line) for line in lines)
    assert [line.problem for text in lines for line in parse_cell(text) if line.problem] == []


@pytest.mark.parametrize("name", list(STEPS))
def test_a_step_has_a_magic_that_shows_it(name: str) -> None:
    """Each kind of step is typed as a magic, whose examples hold at least one."""
    assert name in MAGICS
    assert documented(name)


@pytest.mark.parametrize(("name", "step"), EXAMPLES, ids=lambda value: repr(value)[:60])
def test_a_step_keeps_the_contract(name: str, step: Step) -> None:
    """A step is its line: its words mean it again; it is its parts; joined to itself, itself."""
    assert step.word == name
    assert step.effects(Host()) is not None  # its help says what it does: it is known before
    again = parse(name, step.arguments())
    assert again == step and hash(again) == hash(step)
    assert step.keys and isinstance(step.keys, frozenset)
    assert all(len(part.keys) == 1 and part.word == name for part in step.parts())
    assert frozenset().union(*(part.keys for part in step.parts())) == step.keys
    assert step.merged_with(step) == step
    assert step.without(step.keys) is None
    assert step.without(frozenset({"nothing of it"})) == step
    assert [part.rank for part in step.parts()] == [step.rank] * len(step.parts())
    with pytest.raises(AttributeError):
        step.word_of_mine = "frozen"  # type: ignore[attr-defined]


def test_ranks_are_in_the_order_of_the_design() -> None:
    """What may ask a person comes first, what others read from comes before them."""
    ranks: Dict[str, int] = {name: step.rank for name, step in EXAMPLES}
    order = ["gpu", "drive", "pin", "cd_persist", "setup"]
    assert [name for name in sorted(ranks, key=ranks.__getitem__) if name in order] == order


def test_what_is_no_step_is_none() -> None:
    """Words that name no kind of step, and bare magics that only show, are no steps."""
    assert parse("nosuch", ["x"]) is None
    assert [parse(name, []) for name in ("pin", "drive", "cd_persist", "setup")] == [None] * 4


# ---------------------------------------------------------------------- errors
ERRORS = [
    one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, Exception)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_says_what_failed_and_what_to_do(kind: Any) -> None:
    """Each error is drawn in the tree of its module, and shown as lines instead of a traceback."""
    assert issubclass(kind, ColabMagicsError)
    assert re.search(rf"── {kind.__name__}\b", str(errors.__doc__))
    error = kind("This failed.", "Do that.", "details")
    assert str(error) == "This failed.\nDo that."
    assert error._render_traceback_() == [f"{kind.__name__}: This failed.\nDo that.\ndetails"]


def test_no_error_tells_a_password() -> None:
    """Passwords in URLs are taken out of everything that an error says."""
    text = "see https://me:hunter2@x/y and git+ssh://token@z"
    error = ColabMagicsError(text, text, text)
    usage = errors.usage_error(text)
    for said in (error.message, error.hint, error.details, str(error), str(usage)):
        assert "hunter2" not in said and "token" not in said
    assert "https://****@x/y" in str(error)

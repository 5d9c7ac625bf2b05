"""The lock: the exact set behind the pins, kept in the notebook and installed from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import doubles
import pytest
from doubles.index import make_wheel
from doubles.watched import watch
from support.front_end import started
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown, whole
from support.other_front_ends import Colab

#: What an index and uv do is the same under every IPython.
pytestmark = pytest.mark.once

LOAD = "%load_ext colab_magics"
Make = Callable[[], Machine]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """An index's folder: tinyapp needs tinydep, of which there is one release."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "tinyapp", "1.0", requires=["tinydep"])
    make_wheel(folder, "tinydep", "1.0")
    return folder


@pytest.fixture
def make(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Iterator[Make]:
    """Make a machine with nothing on it, whose index is that folder as it is then."""
    with watch(wheels) as index:

        def make() -> Machine:
            folder = tmp_path_factory.mktemp("machine")
            return Machine.make(folder / "environment", folder / "home", index.url)

        yield make


def names(machine: Machine) -> List[str]:
    """What was installed: ``name-version``."""
    return sorted(one[: -len(".dist-info")] for one in machine.installed())


def run(machine: Machine, path: Path) -> str:
    """Run a notebook whole; what its cells have shown."""
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr + "\n".join(shown(path))
    return "\n".join(shown(path))


def lock(path: Path) -> str:
    """The lock that stands in a notebook."""
    text: str = whole(path)["metadata"]["colab_magics"]["lock"]
    return text


def change(path: Path, do: Callable[[Dict[str, Any]], object]) -> None:
    """Edit a notebook by hand."""
    found = whole(path)
    do(found)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def relock(path: Path, old: str, new: str) -> None:
    """Edit the lock by hand."""
    text = lock(path)
    assert old in text
    change(
        path, lambda found: found["metadata"]["colab_magics"].update(lock=text.replace(old, new))
    )


@pytest.fixture
def locked(make: Make, folder: Path) -> Path:
    """A notebook that pinned tinyapp 1.0 when tinydep 1.0 was the newest."""
    path = notebook(folder / "nb.ipynb", LOAD, "%pin tinyapp==1.0")
    assert "Lock updated (2 packages)" in run(make(), path)
    return path


def test_machines_a_release_apart_get_the_same_set(make: Make, wheels: Path, locked: Path) -> None:
    """A newer release of a dependency changes nothing; without the lock it would come in."""
    make_wheel(wheels, "tinydep", "2.0")
    later = make()
    run(later, locked)
    assert names(later) == ["tinyapp-1.0", "tinydep-1.0"]
    change(locked, lambda found: found["metadata"].clear())
    without = make()
    run(without, locked)
    assert names(without) == ["tinyapp-1.0", "tinydep-2.0"]


def test_lines_that_are_applied_together_are_held(make: Make, wheels: Path, folder: Path) -> None:
    """Two lines of a setup cell, which are applied as one, are each a line of the lock."""
    make_wheel(wheels, "tinyother", "1.0")
    pins = ("%pin tinyapp==1.0", "%pin tinyother==1.0 --build")
    path = notebook(folder / "nb.ipynb", LOAD, *pins)
    run(make(), path)
    assert [line for line in str(setup_text(path)).split("\n") if "%pin" in line] == [*pins]
    make_wheel(wheels, "tinydep", "2.0")
    later = make()
    assert "without the lock" not in run(later, path)
    assert names(later) == ["tinyapp-1.0", "tinydep-1.0", "tinyother-1.0"]


def test_what_drifted_is_brought_back(make: Make, wheels: Path, locked: Path) -> None:
    """The setup cell changes what is not as the lock says; the second run changes nothing."""
    make_wheel(wheels, "tinydep", "2.0")
    machine = make()
    machine.install("tinyapp==1.0", "tinydep==2.0")
    assert "tinydep 1.0 installed (was 2.0)" in run(machine, locked)
    run(machine, locked)
    before, installed = locked.read_bytes(), machine.installed()
    assert "already installed" in run(machine, locked)
    assert (locked.read_bytes(), machine.installed()) == (before, installed)


@pytest.mark.parametrize("tampered", ["the lock", "the index"])
def test_a_hash_that_does_not_match_is_refused(
    make: Make, wheels: Path, locked: Path, tampered: str
) -> None:
    """Whichever of the two was changed: one line names the package, nothing is installed."""
    if tampered == "the lock":
        at = lock(locked).index('sha256 = "', lock(locked).index('name = "tinydep"')) + 10
        relock(locked, lock(locked)[at : at + 64], "0" * 64)
    else:
        make_wheel(wheels, "tinydep", "1.0", files={"tinydep/__init__.py": "evil = True\n"})
    machine, before = make(), lock(locked)
    done = machine.cli("run", locked)
    assert done.returncode == 1
    assert "InstallFailed: The hash of tinydep is not the one in the lock;" in done.stderr
    assert names(machine) == []
    assert lock(locked) == before


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("python_version == '", "python_version == '9.", "it was made on Python "),
        ("-none-any.whl", "-none-other_1_0.whl", "does not fit this machine"),
    ],
)
def test_elsewhere_the_lines_are_taken_and_that_is_said(
    make: Make, wheels: Path, locked: Path, old: str, new: str, why: str
) -> None:
    """On another Python or platform the readable pins hold; the lock stays for its own."""
    make_wheel(wheels, "tinydep", "2.0")
    relock(locked, old, new)
    before, machine = lock(locked), make()
    said = run(machine, locked)
    assert "Lock not used: " in said and why in said
    assert names(machine) == ["tinyapp-1.0", "tinydep-2.0"]
    assert lock(locked) == before
    assert "Lock:" not in run(machine, locked)


def test_a_line_edited_by_hand_is_locked_anew(make: Make, wheels: Path, locked: Path) -> None:
    """What was made for another line does not stand in the way of the new one."""
    make_wheel(wheels, "tinyapp", "2.0", requires=["tinydep>=2"])
    make_wheel(wheels, "tinydep", "2.0")
    text = setup_text(locked)
    assert text is not None
    edited = text.replace("tinyapp==1.0", "tinyapp==2.0")

    def edit(found: Dict[str, Any]) -> None:
        found["cells"] = [{**found["cells"][0], "source": edited}]

    change(locked, edit)
    machine = make()
    said = run(machine, locked)
    assert "Lock not used: a line or a file was changed since it was made." in said
    assert "Lock updated (2 packages)" in said
    assert names(machine) == ["tinyapp-2.0", "tinydep-2.0"]
    assert "tinyapp==2.0" in lock(locked) and "1.0.dist" not in lock(locked)


def test_a_file_that_was_edited_is_locked_anew(make: Make, wheels: Path, folder: Path) -> None:
    """A requirements file that asks for something else now is not held to the old set."""
    (folder / "req.txt").write_text("tinyapp==1.0\n")
    path = notebook(folder / "nb.ipynb", LOAD, "%pin -r req.txt")
    run(make(), path)
    make_wheel(wheels, "tinydep", "2.0")
    machine = make()
    run(machine, path)
    assert names(machine) == ["tinyapp-1.0", "tinydep-1.0"]
    (folder / "req.txt").write_text("tinyapp==1.0\ntinydep==2.0\n")
    said = run(machine, path)
    assert "Lock not used: a line or a file was changed since it was made." in said
    assert names(machine) == ["tinyapp-1.0", "tinydep-2.0"]
    assert "tinydep-2.0-py3" in lock(path)


def test_a_version_that_is_gone_says_how_to_renew(make: Make, wheels: Path, locked: Path) -> None:
    """Where the index has lost a locked version, the lines alone would do, and that is said."""
    next(wheels.glob("tinydep-1.0*")).unlink()
    make_wheel(wheels, "tinydep", "2.0")
    machine = make()
    done = machine.cli("run", locked)
    assert done.returncode == 1 and names(machine) == []
    assert "Or renew the lock: %pin lock --upgrade" in done.stderr
    text = setup_text(locked)
    assert text is not None
    kept = whole(locked)["metadata"]
    notebook(locked, f"{LOAD}\n%pin lock --upgrade", **kept)
    change(locked, lambda found: found["cells"].append({**found["cells"][0], "source": text}))
    change(locked, lambda found: found["cells"][1].update(id="setup"))
    run(machine, locked)
    assert names(machine) == ["tinyapp-1.0", "tinydep-2.0"]


def test_what_came_with_the_machine_is_left_out(make: Make, wheels: Path, folder: Path) -> None:
    """A build that no index has is named, and the rest is locked; one that an index has is in."""
    make_wheel(wheels, "tinytorch", "1.0+cu128", requires=["tinydep"])
    machine = make()
    machine.install("tinytorch")
    path = notebook(folder / "nb.ipynb", LOAD, "%pin tinytorch")
    assert "Lock updated (2 packages)" in run(machine, path)
    next(wheels.glob("tinytorch*")).unlink()
    path = notebook(folder / "nb.ipynb", LOAD, "%pin tinytorch")
    fresh = make()
    make_wheel(wheels, "tinytorch", "1.0+cu128", requires=["tinydep"])
    fresh.install("tinytorch")
    next(wheels.glob("tinytorch*")).unlink()
    said = run(fresh, path)
    assert "Lock updated (1 package). Not in it, as no index has it: tinytorch" in said
    assert "tinydep-1.0-py3" in lock(path)


def test_what_the_lines_do_not_ask_for_is_not_installed(
    make: Make, wheels: Path, locked: Path
) -> None:
    """A package that only the metadata names, where nobody reads it, stays out."""
    make_wheel(wheels, "tinyevil", "1.0")
    one = lock(locked)[lock(locked).index("[[packages]]") : lock(locked).index("[tool")]
    block = "[[packages]]" + one.split("[[packages]]")[1]
    relock(locked, "[tool", block.replace("tinyapp", "tinyevil") + "[tool")
    machine = make()
    run(machine, locked)
    assert names(machine) == ["tinyapp-1.0", "tinydep-1.0"]


def test_a_lock_that_is_none_is_refused(make: Make, locked: Path) -> None:
    """What would become another line of an installer's file is not let through."""
    relock(locked, 'version = "1.0"', 'version = "1.0\\n--index-url http://evil.example/"')
    machine = make()
    done = machine.cli("run", locked)
    assert done.returncode == 1
    assert "The lock in this notebook's metadata cannot be read." in done.stderr
    assert names(machine) == []


def test_no_lock_is_kept_where_none_is_wanted(make: Make, locked: Path) -> None:
    """``--no-lock`` holds for the notebook, for later pins too, until ``%pin lock``."""
    machine = make()
    run(machine, locked)

    def add(*cells: str) -> str:
        sources = [setup_text(locked) or "", *cells]
        kept = whole(locked)["metadata"]
        notebook(locked, *sources, **kept)
        return run(machine, locked)

    assert "This notebook keeps no lock from now on" in add("%pin tinyapp --no-lock")
    assert lock(locked) == "off"
    assert "Lock:" not in add("%pin tinydep")
    assert lock(locked) == "off"
    assert "Lock updated (2 packages)" in add("%pin lock")
    assert "tinydep==1.0" in lock(locked)


def test_check_says_what_differs(make: Make, wheels: Path, locked: Path) -> None:
    """``%pin lock --check`` is quiet about what holds, and an error about what does not."""
    make_wheel(wheels, "tinydep", "2.0")
    machine = make()
    text = setup_text(locked)
    assert text is not None
    kept = whole(locked)["metadata"]
    notebook(locked, text, "%pin lock --check", **kept)
    assert "This machine is as the lock says (2 packages, made 20" in run(machine, locked)
    notebook(locked, text, LOAD, "%pin lock --check", **kept)
    change(locked, lambda found: found["cells"].pop(0))
    machine.install("tinydep==2.0")
    done = machine.cli("run", locked)
    assert done.returncode == 3
    assert "LockDiffers: This machine differs from the lock: " in done.stderr
    assert "tinydep 2.0, locked 1.0" in done.stderr
    change(locked, lambda found: found["metadata"].clear())
    done = machine.cli("run", locked)
    assert "LockDiffers: This notebook has no lock." in done.stderr


def test_upgrade_takes_what_the_pins_need_in_its_newest(
    make: Make, wheels: Path, locked: Path
) -> None:
    """``%pin lock --upgrade`` leaves the pins as they are, and locks what came of it."""
    make_wheel(wheels, "tinydep", "2.0")
    make_wheel(wheels, "tinyapp", "2.0")
    text = setup_text(locked)
    assert text is not None
    notebook(locked, text, "%pin lock --upgrade", **whole(locked)["metadata"])
    machine = make()
    said = run(machine, locked)
    assert names(machine) == ["tinyapp-1.0", "tinydep-2.0"], said
    assert setup_text(locked) == text
    assert "tinydep-2.0-py3" in lock(locked) and "tinydep-1.0-py3" not in lock(locked)


def test_the_lock_goes_with_the_pins(make: Make, locked: Path) -> None:
    """Where no pin is recorded any more, nothing of the lock is left in the notebook."""
    text = setup_text(locked)
    assert text is not None
    notebook(locked, text, "%setup forget tinyapp", **whole(locked)["metadata"])
    run(make(), locked)
    assert whole(locked)["metadata"] == {}


def test_a_large_lock_is_one_packed_line(make: Make, wheels: Path, folder: Path) -> None:
    """Over 8 kB it is packed, the same bytes each time, and read back whole."""
    many = [f"tinypart{number}" for number in range(40)]
    for name in many:
        make_wheel(wheels, name, "1.0")
    make_wheel(wheels, "tinymany", "1.0", requires=many)
    found = []
    for _ in range(2):
        path = notebook(folder / "many.ipynb", LOAD, "%pin tinymany==1.0")
        run(make(), path)
        found.append(lock(path))
    assert found[0] == found[1]
    assert found[0].startswith("gzip:") and len(found[0].splitlines()) == 1
    assert len(found[0]) < 8000
    for name in many:
        make_wheel(wheels, name, "2.0")
    later = make()
    run(later, path)
    assert names(later) == sorted(["tinymany-1.0", *(f"{name}-1.0" for name in many)])


def test_a_password_is_in_no_lock(
    make: Make, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a private index gave is locked without its password, and comes back with it."""
    private = tmp_path / "private"
    make_wheel(private, "tinysecret", "1.0")
    monkeypatch.setenv("MY_INDEX", "me:hunter2")
    with watch(private, user="me:hunter2") as index:
        url = index.url.replace("me:hunter2@", "")
        path = notebook(
            folder / "nb.ipynb",
            LOAD,
            f"%pin tinysecret --index-url {url} --index-auth MY_INDEX",
        )
        run(make(), path)
        assert "tinysecret-1.0-py3" in lock(path)
        assert b"hunter2" not in path.read_bytes()
        assert not any("hunter2" in words for words in index.arguments)
        make_wheel(private, "tinysecret", "1.0", files={"tinysecret/__init__.py": "other = 1\n"})
        machine = make()
        done = machine.cli("run", path)
        assert "The hash of tinysecret is not the one in the lock" in done.stderr
        assert "hunter2" not in done.stderr + done.stdout


def test_colab_reads_the_lock_of_its_notebook(
    make: Make, wheels: Path, locked: Path, folder: Path
) -> None:
    """The setup cell of a notebook that was locked elsewhere installs just that on Colab too."""
    make_wheel(wheels, "tinydep", "2.0")
    machine, text = make(), setup_text(locked)
    assert text is not None
    machine.variables["PYTHONPATH"] = str(Path(doubles.__file__).parent / "google_colab")
    with started(machine, folder) as kernel:
        page = kernel.open(Colab, text)
        page.metadata = whole(locked)["metadata"]
        page.play_ok(0)
    assert names(machine) == ["tinyapp-1.0", "tinydep-1.0"]


def test_an_executor_takes_the_lines(make: Make, locked: Path, tmp_path: Path) -> None:
    """It does not say which notebook it runs: the readable pins hold, and no lock is made."""
    machine, before = make(), locked.read_bytes()
    machine.execute(locked, tmp_path / "out.ipynb")
    assert names(machine) == ["tinyapp-1.0", "tinydep-1.0"]
    assert "Lock:" not in "\n".join(shown(tmp_path / "out.ipynb"))
    assert locked.read_bytes() == before

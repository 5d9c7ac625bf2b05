"""What a release is made by: workflows, recipe, citation, templates, and the name."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from packaging.requirements import Requirement

from colab_magics import __version__

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
#: All that is read by a program, and is neither code nor a page.
FILES = [
    *WORKFLOWS,
    *ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"),
    *(ROOT / name for name in ("CITATION.cff", ".pre-commit-config.yaml", "release/recipe.yaml")),
]


def read(path: Path) -> Dict[Any, Any]:
    """A file of YAML."""
    yaml = pytest.importorskip("yaml")
    value: Dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return value


def project() -> Dict[str, Any]:
    """The tables of pyproject.toml."""
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def steps(workflow: Dict[Any, Any]) -> Iterator[Dict[str, Any]]:
    """The steps of all jobs."""
    for job in workflow["jobs"].values():
        yield from job.get("steps", ())


# ---------------------------------------------------------------------- workflows
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_little(path: Path) -> None:
    """It can write nothing unless a job says so; no text from outside is a part of a script; a
    workflow that it calls is there.
    """
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("${{" not in step.get("run", "") for step in steps(workflow))
    assert "pull_request_target" not in workflow[True]  # YAML reads `on` as this
    called = [job["uses"] for job in workflow["jobs"].values() if "uses" in job]
    assert all((ROOT / name).is_file() for name in called)


def test_ci_is_the_one_command() -> None:
    """Of the repository it runs ``.ci/run`` alone, in Debian, where that can install what lacks."""
    workflow = read(ROOT / ".github/workflows/ci.yml")
    scripts = "\n".join(step.get("run", "") for step in steps(workflow))
    assert re.findall(r"^\S*(?:\.ci|tests|docs|release)/\S+.*$", scripts, re.M) == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    image = workflow["jobs"]["tests"]["container"]["image"]
    assert image == "python:3.13-bookworm", "the Python that two stages of tests/run.py take"


def test_a_release_is_tested_attested_and_has_no_token() -> None:
    """By a tag alone; published by the identity of its workflow, with attestations of its files."""
    workflow = read(ROOT / ".github/workflows/release.yml")
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    jobs = workflow["jobs"]
    assert (jobs["publish"]["needs"], jobs["build"]["needs"]) == ("build", "tests")
    assert jobs["tests"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    used = {step["uses"].split("@")[0]: step for step in steps(workflow) if "uses" in step}
    assert used["pypa/gh-action-pypi-publish"]["with"]["attestations"] is True
    assert used["actions/attest-build-provenance"]["with"]["subject-path"] == "dist/*"
    assert any("flip.py --check" in step.get("run", "") for step in steps(workflow))


# ---------------------------------------------------------------------- the name
def load_flip() -> Any:
    """The script release/flip.py."""
    spec = importlib.util.spec_from_file_location("flip", ROOT / "release/flip.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_command_lets_all_texts_name_the_package(tmp_path: Path) -> None:
    """At the first release; before it such a release is refused, and afterwards another tag."""
    if project()["tool"]["colab-magics"]["on-index"]:
        pytest.skip("elsewhere: the name is ours")
    for name in ("pyproject.toml", "colab_magics/_version.py", "README.md", "README.zh-CN.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    module = load_flip()
    assert module.check(tmp_path, f"v{__version__}") != ""
    changed = module.flip(tmp_path)
    assert {*module.PARAGRAPHS, "pyproject.toml", "docs/setup-cell.md"} <= set(changed)
    assert module.check(tmp_path, f"v{__version__}") == ""
    assert module.check(tmp_path, "v99") != ""
    pages = [*tmp_path.glob("README*.md"), *tmp_path.glob("docs/*.md")]
    lines = [line.strip() for page in pages for line in page.read_text("utf-8").split("\n")]
    installs = [
        line for line in lines if re.match(r"(%|python3 -m )pip install.*colab.magics", line)
    ]
    assert len(installs) >= 7
    ours = {"colab-magics", f"colab-magics~={__version__}"}
    assert [line for line in installs if line.split()[-1] not in ours] == []
    assert not [line for line in lines if "not on PyPI" in line or "没有发布到 PyPI" in line]


def test_each_file_names_the_same_address_and_version() -> None:
    """Those of pyproject.toml and of the package."""
    address = project()["project"]["urls"]["Repository"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in FILES}
    host = address.split("/")[2]
    named = {
        x for text in texts.values() for x in re.findall(rf"https://{re.escape(host)}/\S+", text)
    }
    assert named and all(x == address or x.startswith(f"{address}/") for x in named)
    assert str(read(ROOT / "CITATION.cff")["version"]) == __version__
    assert read(ROOT / "release/recipe.yaml")["context"]["version"] == __version__


# ---------------------------------------------------------------------- recipe, citation, templates
def test_the_recipe_asks_for_what_the_package_asks_for() -> None:
    """With the same lower bounds; what is for some platforms or Pythons is always there."""
    recipe = read(ROOT / "release/recipe.yaml")
    wanted = [Requirement(text) for text in project()["project"]["dependencies"]]
    lines = {f"{x.name} {x.specifier}" for x in wanted}
    assert {x for x in recipe["requirements"]["run"] if not x.startswith("python ")} == lines
    assert project()["build-system"]["requires"][0] in recipe["requirements"]["host"]
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    (point,) = recipe["build"]["python"]["entry_points"]
    assert dict([point.split(" = ")]) == project()["project"]["scripts"]


def test_the_citation_has_what_its_format_demands() -> None:
    """The keys of CFF 1.2.0 that are needed, and none that it does not know."""
    citation = read(ROOT / "CITATION.cff")
    assert str(citation["cff-version"]) == "1.2.0" and citation["type"] == "software"
    needed = {"cff-version", "message", "title", "authors"}
    known = {"type", "version", "license", "repository-code", "abstract", "keywords"}
    assert needed <= set(citation) <= needed | known
    assert citation["license"] == project()["project"]["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in project()["project"]["authors"]
    ]


def test_a_report_of_a_bug_has_what_the_doctor_says() -> None:
    """It is demanded, and the names of the fields are each there once."""
    form = read(ROOT / ".github/ISSUE_TEMPLATE/bug.yml")
    fields = {item["id"]: item for item in form["body"] if item["type"] != "markdown"}
    assert len(fields) == 3 and fields["doctor"]["validations"] == {"required": True}
    assert "%setup doctor" in fields["doctor"]["attributes"]["label"]
    for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"):
        kinds = {item["type"] for item in read(path).get("body", ())}
        assert kinds <= {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    assert read(ROOT / ".github/ISSUE_TEMPLATE/config.yml")["blank_issues_enabled"] is False


def test_the_hooks_are_the_checks_of_each_commit() -> None:
    """Each command of the row "check" in CONTRIBUTING.md is one of them."""
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    entries: List[str] = [hook["entry"] for hook in repository["hooks"]]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    row = re.findall(r"^\| check \| `(.*)` \|$", text, re.M)[0]
    for command in row.split(" && "):
        words = [word for word in command.split() if word != "."]
        assert any(entry.split()[: len(words)] == words for entry in entries), command
    scripts = [word for entry in entries for word in entry.split() if word.endswith(".py")]
    assert all((ROOT / word).is_file() for word in scripts)

"""What uv and pip print when they fail, read into a code, fields and a message."""

from __future__ import annotations

import sys
from typing import Tuple

import pytest

from colab_magics.pin.failure import explain, hosts_of

HERE = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
INDEX = "https://me:hunter2@pypi.test:8443/simple"
END = ", we can conclude that your requirements are unsatisfiable."
PIP_END = "ERROR: No matching distribution found for it"

#: What an installer printed, the code, and the message.
CASES = {
    "uv: no version": (
        f"cause: Because there is no version of demo==9.9 and you require demo==9.9{END}",
        "no-such-version",
        "demo has no version 9.9.",
    ),
    "uv: no later version": (
        f"cause: Because only demo<=2.0 is available and you require demo>3,<4{END}",
        "no-such-version",
        "demo has no version >3,<4.",
    ),
    "pip: no version": (
        "ERROR: Could not find a version that satisfies the requirement demo==9.9 "
        f"(from versions: 1.0, 2.0)\n{PIP_END}",
        "no-such-version",
        "demo has no version 9.9.",
    ),
    "pip: nothing": (
        "ERROR: Could not find a version that satisfies the requirement demo (from other) "
        f"(from versions: none)\n{PIP_END}",
        "no-such-version",
        f"demo has no version for {HERE}.",
    ),
    "uv: no package": (
        "cause: Because demo was not found in the package registry and all versions of other "
        "depend on demo, we can conclude that all versions of other cannot be used.",
        "no-such-package",
        "There is no package demo on pypi.test.",
    ),
    "uv: wheels of old Pythons": (
        "  ╰─▶ Because demo==1.5 has no wheels with a matching Python ABI tag (e.g., `cp311`) and\n"
        f"      you require demo==1.5{END}\n\n"
        "hint: You require CPython 3.11 (`cp311`), but we only found wheels for `demo` (v1.5) with "
        "the following Python ABI tags: `cp35m`, `cp36m`",
        "no-build",
        f"demo 1.5 has no build for {HERE} (only 3.5, 3.6).",
    ),
    "uv: wheels of other machines": (
        "cause: Because demo==1.5 has no wheels with a matching platform tag (e.g., `x`) and "
        f"you require demo==1.5{END}\nhint: Wheels are available for `demo` (v1.5) on the "
        "following platform: `macosx_99_0_ppc`",
        "no-build",
        "demo 1.5 has no build for this machine.",
    ),
    "uv: a later Python": (
        "cause: Because the current Python version (3.11.7) does not satisfy Python>=3.29 and "
        "demo==1.5 depends on Python>=3.29, we can conclude that demo==1.5 cannot be used.\n"
        f"       And because only demo>=1.5 is available and you require demo==1.5{END}",
        "no-build",
        f"demo 1.5 has no build for {HERE} (only Python >=3.29).",
    ),
    "pip: a later Python": (
        "ERROR: Ignored the following versions that require a different python version: "
        "1.5 Requires-Python >=3.29; 1.6 Requires-Python >=3.30\n"
        "ERROR: Could not find a version that satisfies the requirement demo==1.5 "
        f"(from versions: 3.0)\n{PIP_END}",
        "no-build",
        f"demo 1.5 has no build for {HERE} (only Python >=3.29).",
    ),
    "uv: nobody there": (
        "error: Failed to fetch: https://other.test/simple/demo/\n"
        "  cause: error sending request for url (https://other.test/simple/demo/)\n"
        "  cause: Connection refused (os error 111)",
        "index-unreachable",
        "The package index other.test cannot be reached; nothing was installed.",
    ),
    "uv: a server that fails": (
        "error: Failed to fetch: https://other.test/simple/demo/\n  cause: HTTP status server "
        "error (503 Service Unavailable) for url (https://other.test/simple/demo/)",
        "index-unreachable",
        "The package index other.test cannot be reached; nothing was installed.",
    ),
    "pip: nobody there": (
        "WARNING: Retrying (Retry(total=1)) after connection broken by 'Error()': /simple/demo/\n"
        f"ERROR: Could not find a version (from versions: none)\n{PIP_END}",
        "index-unreachable",
        "The package index pypi.test cannot be reached; nothing was installed.",
    ),
    "uv: a password": (
        f"cause: Because demo was not found in the package registry and you require demo{END}\n"
        "hint: An index URL (https://pypi.test/simple/) could not be queried due to a lack of "
        "valid authentication credentials (401 Unauthorized)",
        "index-login",
        "The package index pypi.test refused the login; nothing was installed.",
    ),
    "pip: a password": (
        "WARNING: 401 Error, Credentials not correct for https://pypi.test/simple/demo/\n"
        f"ERROR: Could not find a version (from versions: none)\n{PIP_END}",
        "index-login",
        "The package index pypi.test refused the login; nothing was installed.",
    ),
    "uv: a full disk": (
        "error: Failed to install: demo.whl\n  Caused by: No space left on device (os error 28)",
        "disk-full",
        "The disk is full; nothing was installed.",
    ),
    "pip: a read-only folder": (
        "ERROR: Could not install packages due to an OSError: [Errno 30] Read-only: '/x'",
        "not-writable",
        "The environment may not be written; nothing was installed.",
    ),
    "uv: the system's Python": (
        "error: The interpreter at /usr is externally managed, and indicates the following:",
        "externally-managed",
        "This Python belongs to the operating system (PEP 668); nothing was installed.",
    ),
    "pip: the system's Python": (
        "error: externally-managed-environment\n\n× This environment is externally managed",
        "externally-managed",
        "This Python belongs to the operating system (PEP 668); nothing was installed.",
    ),
    "uv: another file": (
        "error: Hash mismatch for `demo==1.0`\n\nExpected:\n  sha256:00",
        "hash-mismatch",
        "Not installed: Hash mismatch for `demo==1.0`",
    ),
    "uv: a build": (
        "error: Failed to build `demo @ file:///x`\n  cause: The build backend returned an error",
        "build-failed",
        "Not installed: Failed to build `demo @ file:///x`: The build backend returned an error",
    ),
    "uv: a conflict": (
        "error: No solution found when resolving dependencies\n  cause: Because all versions of "
        "demo depend on other==1.0 and you require demo==1.0, we can conclude that you require "
        f"other==1.0.\n         And because you require other==2.0{END}",
        "conflict",
        "Not installed: Because all versions of demo depend on other==1.0 and you require "
        "demo==1.0, we can conclude that you require other==1.0.",
    ),
    "pip: a conflict": (
        "The conflict is caused by:\n    The user requested other==2.0\n"
        "    demo 1.0 depends on other==1.0\nERROR: ResolutionImpossible: for help visit X",
        "conflict",
        "Not installed: The conflict is caused by:",
    ),
    "uv: no version in the midst of a conflict": (
        "cause: Because there is no version of demo==1.5 and demo==1.4 depends on other<1, we can "
        f"conclude that demo>1.3 depends on other<1.\n And because you require other==2{END}",
        "conflict",
        "Not installed: Because there is no version of demo==1.5 and demo==1.4 depends on other<1, "
        "we can conclude that demo>1.3 depends on other<1.",
    ),
    "any": ("error: said so", "install-failed", "Not installed: said so"),
    "nothing": ("", "install-failed", "Not installed: the installer gave no reason"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=[*CASES])
def test_a_statement_is_read_into_a_code(case: Tuple[str, str, str]) -> None:
    """Each statement of an installer has one code, and is told in one message."""
    printed, code, message = case
    error = explain(printed.splitlines(), [INDEX])
    assert (error.code, error.message) == (code, message)
    assert "hunter2" not in repr((error.message, error.hint, error.details))


def test_another_version_is_named() -> None:
    """Where a version cannot be had, one that can is named: by pip, else as it is looked up."""
    printed, _, _ = CASES["uv: no version"]
    assert f"try: %pin demo=={7}" in explain(printed.splitlines(), newest=lambda name: "7").hint
    assert explain(printed.splitlines(), newest=lambda name: "").hint == ""
    assert "try: %pin demo==2.0" in explain(CASES["pip: no version"][0].splitlines()).hint


def test_another_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only an older Python has a build, and we run on it, the line for it is named."""
    printed = CASES["uv: wheels of old Pythons"][0].replace("`cp36m`", "`cp38`")
    error = explain(printed.splitlines())
    assert error.details == "Or on another Python: %pin demo==1.5 --python 3.8"


def test_what_runs_the_kernel_is_held() -> None:
    """A need of another version of the kernel's machinery is told as that, from either."""
    for need in ("demo depend on", "demo 1.0 depends on"):
        lines = [f"Because all versions of {need} tornado==0.1 and tornado==6.1, we conclude"]
        error = explain(lines, held=["tornado"])
        assert (error.code, error.package) == ("kernel-held", "demo")
        assert error.message.startswith("demo needs tornado==0.1, which runs this kernel;")
        assert explain(lines).code != "kernel-held"


def test_hosts_are_named_once_and_without_a_login() -> None:
    """Of addresses only the host, whatever else they hold."""
    texts = [INDEX, "x @ http://[::1]:80/x", "/folder", INDEX]
    assert hosts_of(texts) == "pypi.test, [::1]"

"""``%session``."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..core.arguments import Parser, find_meant, parse_duration, quote
from ..core.display import Mark, Report, Tone, amount, duration
from ..core.errors import NotebookError, usage_error
from ..core.menus import menu
from ..extension.magic import Call, Magic
from ..extension.output import Status, confirm, say, show
from ..gpu.devices import take_snapshot
from ..notebook.kernels import Running, running, stop
from ..notebook.servers import Server, colab, own
from .machine import read_family

#: How a kernel is restarted, and a machine given back, where we cannot.
_RESTART = {
    "colab": "In the menu: Runtime > Restart session, or Ctrl+M and then the dot.",
    "vscode": "Above the notebook: Restart.",
    "terminal": "Leave IPython, and start it again.",
}
_TONES: Mapping[str, Tone] = {"busy": "active", "idle": "quiet"}


class SessionMagic(Magic):
    """Show this machine and this kernel: how long they have lived, what time and space remain.

    Where the host lends a machine for a time (Colab and Kaggle: 12 hours), the rest of it is
    shown, and a notice comes below a cell an hour, half an hour and ten minutes before its end.
    Another time, or 0 for none: ``%env_persist COLAB_MAGICS_SESSION_HOURS=24``.

    With ``-o`` the result has times in seconds, memory and disks in bytes.

    Examples
    --------
    ::

        %session                        # the machine and the kernel; asks no server
        %session --json
        %session list                   # all notebooks and kernels on this Jupyter server
        %session stop other.ipynb       # by name, or by the beginning of the kernel's id
        %session stop --idle 2h         # all that have been idle for so long
        %session restart                # this kernel; its variables are lost
        %session end                    # gives the machine back, on Colab
    """

    name = "session"
    completes = "notebook"
    dry_run_commands = ()

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments of ``%session``."""
        tree = Parser("%session")
        kernels = tree.add_command("list", "List the notebooks and kernels of this Jupyter server.")
        for command in (tree, kernels):
            command.add_argument("--json", action="store_true", help="print it as JSON")
        stopping = tree.add_command("stop", "Stop other kernels of this Jupyter server.")
        stopping.add_argument("names", nargs="*", help="notebooks, or the beginning of an id")
        stopping.add_argument(
            "--idle", type=parse_duration, metavar="TIME", help="all that are idle so long: 2h"
        )
        tree.add_command("restart", "Restart this kernel; its variables are lost.")
        ending = tree.add_command("end", "Give the machine back, on Colab.")
        for command in (stopping, ending):
            command.add_argument("--yes", action="store_true", help="do not ask")
        return tree

    def run(self, call: Call) -> Any:
        """Run the command; without one, show the machine and the kernel."""
        self.refuse_body(call)
        command, arguments = self.parser().parse_words(call.words)
        return getattr(self, f"_{command or 'inspect'}")(arguments, call)

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return the notebooks that can be stopped behind that word, and options."""
        words = line.split()[1:]
        before = words[:-1] if symbol else words
        if before[:1] != ["stop"] or symbol.startswith("-"):
            return super().complete(line, symbol)
        try:
            kernels = running(self._find_server())
        except Exception:  # Tab is no place for an error
            return []
        return [name for kernel in kernels for name in kernel.names if name.startswith(symbol)]

    # ------------------------------------------------------------------ commands
    def _inspect(self, arguments: argparse.Namespace, call: Call) -> Any:
        from .magic_report import inspect, report

        state = inspect(self.host, self.session.site)
        self._show(report(self.host, state), state, arguments, call)
        return state

    def _list(self, arguments: argparse.Namespace, call: Call) -> Any:
        rows = describe_kernels(running(self._find_server()), self.session.site.kernel)
        self._show(make_report(rows), rows, arguments, call)
        return rows

    def _stop(self, arguments: argparse.Namespace, call: Call) -> Any:
        if bool(arguments.names) == (arguments.idle is not None):
            raise usage_error(
                "%session stop: which kernels?",
                "Name notebooks, or write --idle 2h.",
                code="no-kernels",
            )
        server, this = self._find_server(), self.session.site.kernel
        kernels = running(server)
        if arguments.names:
            chosen = list(dict.fromkeys(find_named(name, kernels) for name in arguments.names))
        else:
            chosen = find_idle((k for k in kernels if k.kernel != this), arguments.idle)
        if any(kernel.kernel == this for kernel in chosen):
            raise usage_error(
                "%session stop: this kernel cannot stop itself.",
                "Use %session restart.",
                code="this-kernel",
            )
        if not chosen:
            say(f"Nothing to stop: no other kernel was idle for {duration(arguments.idle)}")
            return []
        names = ", ".join(kernel.name for kernel in chosen)
        if not self._confirm(f"Stop {names}? Their variables are lost.", arguments):
            say("Nothing was stopped")
            return []
        return self._stop_kernels(server, chosen, call)

    def _stop_kernels(
        self, server: Server, kernels: List[Running], call: Call
    ) -> List[Dict[str, Any]]:
        rows = describe_kernels(kernels, self.session.site.kernel)
        status = Status(self.host, "quiet" in call.flags)
        status(f"Stopping {', '.join(kernel.name for kernel in kernels)}")
        with status:
            failed = stop(server, kernels)
        freed = sum(row["memory"] or 0 for row in rows)
        names = ", ".join(kernel.name for kernel in kernels if kernel not in failed)
        more = f"; {amount(freed)} of memory are free again" if freed and not failed else ""
        quiet = "quiet" in call.flags or not names
        status.done(None if quiet else Report((f"Stopped: {names}{more}",)))
        if failed:
            raise NotebookError(
                f"{', '.join(kernel.name for kernel in failed)} could not be stopped.",
                "Try again: %session stop, or its own menu.",
                code="still-running",
            )
        return rows

    def _restart(self, arguments: argparse.Namespace, call: Call) -> None:
        site = self.session.site
        server = own() if site.kind == "jupyter" and site.kernel else None
        context = self.host.context
        has_extension = context.has_extension() or context.runs_on_server()
        if server is None and not has_extension:
            raise self._refuse_restart()
        from ..notebook.restart import late, restart, restart_by_server

        self._announce_end(machine=False)
        say("Restarting the kernel; its variables are lost")
        answer: Optional[Dict[str, Any]] = {}
        if has_extension:
            answer = restart(self.host, "session", "%session", alone=True)
        if answer is None:
            return
        if server is not None:
            restart_by_server(self.host, server, site.kernel)
        elif answer["status"] == "late":
            raise late()
        else:
            raise NotebookError(
                f"The kernel was not restarted ({answer['status']}).",
                "Restart it in the front end's menu.",
                code="not-restarted",
            )

    def _refuse_restart(self) -> Exception:
        """Return the error that says why no restart can be made from here, and where it is."""
        site, code = self.session.site, "no-server"
        default = "Restart it where it was started."
        reason = "no Jupyter server started this kernel"
        if self.host.colab:  # its server did; nobody has tried whether the page would follow
            reason, code = "Colab lets no cell restart its kernel", "front-end-only"
            default = "Where you type colab exec: colab restart-kernel"
        elif site.kernel:
            reason = "the Jupyter server that started this kernel cannot be asked from here"
        hint = _RESTART.get(site.kind, default)
        return usage_error(f"%session restart: {reason}.", hint, code=code)

    def _end(self, arguments: argparse.Namespace, call: Call) -> None:
        if not self.host.colab:
            raise usage_error(
                "%session end: only a machine of Colab can be given back.",
                "Stop kernels by %session stop, or in the front end's menu.",
                code="not-colab",
            )
        by_hand = f"In the menu: {menu(self.host, 'delete')}."
        try:
            from google.colab import runtime
        except ImportError:  # another Python than Colab's own
            raise usage_error(
                "%session end: google.colab is not in this Python.", by_hand, code="no-colab"
            ) from None
        question = "Give the machine back? All on it is lost, but for the drive."
        if not self._confirm(question, arguments):
            say("The machine was not given back")
            return
        self._announce_end(machine=True)
        status = Status(self.host, "quiet" in call.flags)
        status("Giving the machine back")
        try:
            runtime.unassign()
        except Exception as error:
            status.done(None)
            message = f"The machine was not given back: {error}"
            raise NotebookError(message, by_hand, code="not-given-back") from None
        status.done(Report(("The machine is given back",)))

    # ------------------------------------------------------------------ parts of them
    def _announce_end(self, machine: bool) -> None:
        for hook in self.session.hooks:
            hook.kernel_ends(machine)

    def _find_server(self) -> Server:
        server = own() or colab()
        if server is None:
            raise usage_error(
                "%session: no Jupyter server of this machine started this kernel.",
                "List and stop other kernels where they were started.",
                code="no-server",
            )
        return server

    def _confirm(self, question: str, arguments: argparse.Namespace) -> bool:
        """Return whether a person agrees, or has done so by ``--yes``."""
        if arguments.yes:
            return True
        if not self.host.person:
            raise usage_error(f"{question} Nobody is here to answer.", "Add --yes.", code="no-yes")
        return confirm(self.host, question)

    def _show(self, report: Report, data: Any, arguments: argparse.Namespace, call: Call) -> None:
        if arguments.json:
            print(json.dumps(data, indent=2, default=str))
        elif "quiet" not in call.flags:
            show(report)


# ---------------------------------------------------------------------- kernels of a server
def describe_kernels(kernels: Sequence[Running], this: str) -> List[Dict[str, Any]]:
    """Return what is known of each kernel: seconds, bytes, None where nobody knows.

    ``this`` is the kernel that runs %session: busy, whether the server knows that yet or not.
    """
    rows, gpu_memory, now = [], _read_gpu_memory(), time.time()
    for kernel in kernels:
        here = kernel.kernel == this
        memory = read_family(kernel.pid) if kernel.pid is not None else {}
        row = {
            "name": kernel.name,
            "kernel": kernel.kernel,
            "state": "busy" if here else kernel.state,
            "idle_seconds": 0.0 if here else kernel.idle(now),
            "pid": kernel.pid,
            "memory": sum(memory.values()) or None,
            "gpu_memory": sum(gpu_memory[pid] for pid in memory) or None,
            "here": here,
        }
        rows.append(row)
    return rows


def _read_gpu_memory() -> Counter[int]:
    """Return the bytes that each process has on GPUs, as far as drivers list them."""
    sizes: Counter[int] = Counter()
    for gpu in take_snapshot(detailed=True).detailed:
        for process in gpu.processes or ():
            sizes[process.pid] += (process.memory or 0) if process.here else 0
    return sizes


def find_idle(kernels: Iterable[Running], seconds: float) -> List[Running]:
    """Return the kernels that have been idle for so long."""
    now = time.time()
    return [kernel for kernel in kernels if kernel.quiet and kernel.idle(now) >= seconds]


def find_named(name: str, kernels: Sequence[Running]) -> Running:
    """Return the kernel of a notebook's path or file name, or of the beginning of its id."""
    for matches in (
        [k for k in kernels if name in k.names],
        [k for k in kernels if any(path.rpartition("/")[2] == name for path in k.names)],
        [k for k in kernels if len(name) > 3 and k.kernel.startswith(name)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            candidates = ", ".join(f"{kernel.name} ({kernel.kernel[:8]})" for kernel in matches)
            raise usage_error(
                f"{name} is ambiguous: {candidates}.",
                "Write the path, or the id.",
                code="ambiguous",
            )
    names = ", ".join(kernel.name for kernel in kernels)
    raise usage_error(
        f"There is no notebook {name} here.",
        f"There are: {names}",
        code="no-notebook",
        slip=find_meant(name, [n for k in kernels for n in k.names], 0.85),
    )


def make_report(rows: Sequence[Dict[str, Any]]) -> Report:
    """Return the list as a table; with a column of GPUs only where a kernel uses one."""
    has_gpus = any(row["gpu_memory"] for row in rows)
    head = ("notebook", "kernel", "state", "memory", *(["GPU memory"] if has_gpus else []), "")
    lines: List[Tuple[str, ...]] = []
    for row in rows:
        since = f" for {duration(row['idle_seconds'])}" if row["idle_seconds"] else ""
        state = Mark.of(f"{row['state']}{since}", _TONES.get(row["state"], "caution"))
        memory = amount(row["memory"]) if row["memory"] else "n/a"
        gpus = [amount(row["gpu_memory"]) if row["gpu_memory"] else ""] if has_gpus else []
        here = "this one" if row["here"] else ""
        lines.append((row["name"], row["kernel"][:8], state, memory, *gpus, here))
    others = [row["name"] for row in rows if not row["here"]]
    after = [f"Stop one: %session stop {quote(others[0])}"] if others else []
    return Report((), tuple(lines), tuple(after), head)

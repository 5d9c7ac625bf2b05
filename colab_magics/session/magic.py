"""``%session``."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.display import Report, amount, duration
from ..core.errors import NotebookError, usage_error
from ..extension.magic import Call, Magic
from ..extension.output import Status, confirm, say, show
from ..notebook.kernels import Running, running, stop
from ..notebook.servers import Server, colab, own
from .limit import parse_duration
from .machine import family

VERBS = ("list", "stop", "restart", "end")

#: How a kernel is restarted, and a machine given back, where we cannot.
_RESTART = {
    "colab": "In the menu: Runtime > Restart session.",
    "vscode": "Above the notebook: Restart.",
    "terminal": "Leave IPython, and start it again.",
}
_GIVE = "In the menu: Runtime > Disconnect and delete runtime."
_KEPT = "Kernels are ended by %session stop, or the front end's own menu."


class SessionMagic(Magic):
    """This machine and this kernel: how long they have lived, what is left, what is free.

    Where the host lends a machine for a time (Colab and Kaggle: 12 hours), what is left of it is
    shown, and said below a cell when it is an hour, half an hour and ten minutes. Another time, or
    0 for none: ``%env_persist COLAB_MAGICS_SESSION_HOURS=24``.

    Examples
    --------
    ::

        %session                        # the machine and the kernel; asks nobody else
        %session --json
        %session list                   # all notebooks and kernels on this Jupyter server
        %session stop other.ipynb       # by name, or by the beginning of the kernel's id
        %session stop --idle 2h         # all that nothing was run on for so long
        %session restart                # this kernel; its variables are lost
        %session end                    # gives the machine back, on Colab

    Options
    -------
    ``--yes``: stop or end without asking; needed where nobody can be asked. ``-o``: return what is
    shown: times in seconds, memory and disks in bytes. ``-q``: show nothing.
    """

    name = "session"
    offers = (*VERBS, "--idle", "--yes", "--json", "-o")

    def run(self, call: Call) -> Any:
        """Do one thing, or show how it stands."""
        self.no_body(call)
        words = list(call.words)
        if words and words[0] in VERBS:
            return getattr(self, f"_{words[0]}")(words[1:], call)
        from .magic_report import look, report

        asked = _flags("%session", words, "--json")
        found = look(self.host, self.session.site)
        self._show(report(self.host, found), found, asked.json, call)
        return found

    def complete(self, line: str, symbol: str) -> List[str]:
        """Notebooks that can be stopped, behind that word."""
        words = line.split()[1:]
        if words[:1] != ["stop"] or symbol.startswith("-") or words[-1:] == ["stop"] == [symbol]:
            return super().complete(line, symbol)
        try:
            found = running(self._server())
        except Exception:  # Tab is no place for an error
            return []
        return [name for one in found for name in one.names if name.startswith(symbol)]

    # ------------------------------------------------------------------ what can be done
    def _list(self, words: List[str], call: Call) -> Any:
        asked = _flags("%session list", words, "--json")
        found = [known(one, self.session.site.kernel) for one in running(self._server())]
        self._show(Report((), rows(found)), found, asked.json, call)
        return found

    def _stop(self, words: List[str], call: Call) -> Any:
        parser = Parser("%session stop")
        parser.add_argument("names", nargs="*")
        parser.add_argument("--idle", type=parse_duration)
        parser.add_argument("--yes", action="store_true")
        asked = parser.parse_args(words)
        if bool(asked.names) == (asked.idle is not None):
            raise usage_error("%session stop: which?", "Name notebooks, or say --idle 2h.")
        server = self._server()
        found = running(server)
        others = [one for one in found if one.kernel != self.session.site.kernel]
        wanted = self._named(asked.names, found) if asked.names else idle(others, asked.idle)
        if not wanted:
            say(f"Nothing to stop: no other kernel was idle for {duration(asked.idle)}")
            return []
        names = ", ".join(one.name for one in wanted)
        if not self._sure(f"Stop {names}? The variables there are lost.", asked.yes):
            say("Nothing was stopped")
            return []
        return self._ended(server, wanted, call)

    def _restart(self, words: List[str], call: Call) -> None:
        _flags("%session restart", words)
        site = self.session.site
        server = own() if site.kind == "jupyter" and site.kernel else None
        helped = self.host.context.has_extension()
        if server is None and not helped:
            hint = _RESTART.get(site.kind, "Restart it where it was started.")
            raise usage_error("%session restart: no Jupyter server started this kernel.", hint)
        from ..notebook.restart import late, restart, restart_by_server

        say("Restarting the kernel; its variables are lost")
        answer = restart(self.host, "session", "%session", alone=True) if helped else {}
        if answer is None:
            return
        if server is not None:
            restart_by_server(self.host, server, site.kernel)
        elif answer["status"] == "late":
            raise late()
        else:
            raise NotebookError(
                f"The front end did not restart the kernel ({answer['status']}).",
                "Restart it in the front end's menu.",
            )

    def _end(self, words: List[str], call: Call) -> None:
        asked = _flags("%session end", words, "--yes")
        if not self.host.colab:
            raise usage_error("%session end: only a machine of Colab can be given back.", _KEPT)
        try:
            from google.colab import runtime
        except ImportError:  # another Python than Colab's own
            raise usage_error("%session end: google.colab is not in this Python.", _GIVE) from None
        if not self._sure(
            "Give the machine back? All on it is lost, but for the drive.", asked.yes
        ):
            say("The machine is kept")
            return
        status = Status(self.host, "quiet" in call.flags)
        status("Giving the machine back")
        try:
            runtime.unassign()
        except Exception as error:
            status.done(None)
            raise NotebookError(f"The machine was not given back: {error}", _GIVE) from None
        status.done(Report(("The machine is given back",)))

    # ------------------------------------------------------------------ parts of it
    def _server(self) -> Server:
        server = own() or colab()
        if server is None:
            raise usage_error(
                "%session: no Jupyter server of this machine started this kernel.",
                "Other kernels are known to where they were started.",
            )
        return server

    def _named(self, names: Sequence[str], found: List[Running]) -> List[Running]:
        wanted: List[Running] = []
        for name in names:
            one = named(name, found)
            if one.kernel == self.session.site.kernel:
                raise usage_error(f"{name} is this very kernel.", "Use %session restart.")
            wanted += [] if one in wanted else [one]
        return wanted

    def _ended(self, server: Server, wanted: List[Running], call: Call) -> List[Dict[str, Any]]:
        """End kernels, with proof, and say what came back."""
        before = [known(one, self.session.site.kernel) for one in wanted]
        status = Status(self.host, "quiet" in call.flags)
        status(f"Stopping {', '.join(one.name for one in wanted)}")
        try:
            left = stop(server, wanted)
        except BaseException:
            status.done(None)
            raise
        freed = sum(one["memory"] or 0 for one in before)
        names = ", ".join(one.name for one in wanted if one not in left)
        back = f"; {amount(freed)} of memory are free again" if freed and not left else ""
        said = Report((f"Stopped: {names}{back}",)) if names else None
        status.done(None if "quiet" in call.flags else said)
        if left:
            still = ", ".join(one.name for one in left)
            raise NotebookError(
                f"{still} runs still.", "Once more: %session stop, or its own menu."
            )
        return before

    def _sure(self, question: str, yes: bool) -> bool:
        """Whether a person says so, or has said so in the line."""
        if yes:
            return True
        if not self.host.person:
            raise usage_error(f"{question} Nobody is known to be here to answer.", "Add --yes.")
        return confirm(self.host, question)

    def _show(self, report: Report, found: Any, as_json: bool, call: Call) -> None:
        if as_json:
            print(json.dumps(found, indent=2, default=str))
        elif "quiet" not in call.flags:
            show(report)


def _flags(prog: str, words: List[str], *flags: str) -> Any:
    parser = Parser(prog)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args(words)


# ---------------------------------------------------------------------- kernels
# Kernels of a Jupyter server as ``%session`` shows and names them.
def known(one: Running, here: str) -> Dict[str, Any]:
    """What is known of a kernel: seconds, bytes, and None where nobody says.

    The one that asks is busy with that, whether the server has heard of it or not.
    """
    asks = one.kernel == here
    memory = family(one.pid) if one.pid is not None else {}
    return {
        "name": one.name,
        "kernel": one.kernel,
        "state": "busy" if asks else one.state,
        "idle_seconds": 0.0 if asks else one.idle(time.time()),
        "pid": one.pid,
        "memory": sum(memory.values()) or None,
        "gpu_memory": _on_gpus(memory),
        "here": asks,
    }


def idle(found: List[Running], seconds: float) -> List[Running]:
    """Those on which nothing was run for so long, and nothing is."""
    now = time.time()
    return [one for one in found if one.quiet and one.idle(now) >= seconds]


def named(name: str, found: List[Running]) -> Running:
    """The kernel that a name means: a notebook's path or file name, or the beginning of an id."""
    for same in (
        lambda one: name in one.names,
        lambda one: any(path.rpartition("/")[2] == name for path in one.names),
        lambda one: len(name) > 3 and one.kernel.startswith(name),
    ):
        matching = [one for one in found if same(one)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            which = ", ".join(f"{one.name} ({one.kernel[:8]})" for one in matching)
            raise usage_error(f"{name} is several: {which}.", "Say the path, or the id.")
    there = ", ".join(one.name for one in found)
    raise usage_error(f"There is no notebook {name} here.", f"There are: {there}")


def rows(found: List[Dict[str, Any]]) -> Tuple[Tuple[str, ...], ...]:
    """The list as a table; a column of GPUs only where one is used."""
    gpus = any(one["gpu_memory"] for one in found)
    head = ("notebook", "kernel", "state", "memory", *(["GPU memory"] if gpus else []), "")
    table: List[Tuple[str, ...]] = [head]
    for one in found:
        since = f" for {duration(one['idle_seconds'])}" if one["idle_seconds"] else ""
        memory = amount(one["memory"]) if one["memory"] else "n/a"
        on_gpus = [amount(one["gpu_memory"]) if one["gpu_memory"] else ""] if gpus else []
        here = "this one" if one["here"] else ""
        table.append(
            (one["name"], one["kernel"][:8], f"{one['state']}{since}", memory, *on_gpus, here)
        )
    return tuple(table)


def _on_gpus(pids: Dict[int, int]) -> Optional[int]:
    """The bytes that these processes have on GPUs; None where no driver says so of any."""
    from ..gpu.model import details

    found = [
        process.memory
        for card in details()
        for process in card.processes or ()
        if process.here and process.pid in pids and process.memory is not None
    ]
    return sum(found) if found else None

"""The commands and options of ``%jobs``."""

from __future__ import annotations

from ..core.arguments import Parser, seconds


def parser() -> Parser:
    """Return the arguments of ``%jobs``."""
    tree = Parser("%jobs")
    tree.add_argument("names", nargs="*", help="of jobs; without one, all")
    tree.add_argument("--json", action="store_true", help="print all that is known of each")
    log = tree.add_command("log", "Show the last lines of a job's log.")
    log.add_argument(
        "-n", type=int, default=20, dest="lines", metavar="LINES", help="20 by default"
    )
    log.add_argument(
        "--all", action="store_true", help="all of it; of a very long log the last 100 to 200 MB"
    )
    log.add_argument(
        "--before", action="store_true", help="the log of the job that had the name before"
    )
    follow = tree.add_command("follow", "Show a job's output as it comes, until it ends.")
    wait = tree.add_command("wait", "Wait until a job ends.")
    for command in (follow, wait):
        command.add_argument("--timeout", type=seconds, metavar="SECONDS", help="wait no longer")
    for command in (log, follow, wait):
        command.add_argument("name")
    stop = tree.add_command("stop", "End jobs, with all that they have started.")
    remove = tree.add_command("remove", "Delete jobs that have ended, with their logs.")
    for command in (stop, remove):
        command.add_argument("names", nargs="+", metavar="name")
    return tree

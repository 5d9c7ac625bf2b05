"""The arguments of ``%drive push|pull|sync|rm|du`` and of ``%drive login|logout|whoami``."""

from __future__ import annotations

import argparse

from ...core.arguments import Parser

#: Files at once: more of them do not get faster on Drive, which lets few be made in a second.
JOBS = 8
#: The commands that are added here.
LOGIN = ("login", "logout", "whoami")
NAMES = ("push", "pull", "sync", "rm", "du", *LOGIN)


def add_commands(tree: Parser) -> None:
    """Add the arguments of these commands to those of ``%drive``."""
    for name, text in (
        ("push", "Send files and folders to the drive, or to any folder."),
        ("pull", "Get files and folders of the drive, or of any folder."),
    ):
        command = tree.add_command(name, text)
        command.add_argument(
            "paths", nargs="+", metavar="PATH", help="what to copy, then where to; drive:x, or x"
        )
        command.add_argument(
            "--jobs", type=_jobs, default=JOBS, metavar="N", help="files at once (8)"
        )
        if name == "push":
            command.add_argument("--pack", action="store_true", help="a folder as one file, x.tar")
        else:
            command.add_argument("--unpack", action="store_true", help="unpack archives there")
            command.add_argument(
                "--export",
                dest="formats",
                action="store_const",
                const="",
                help="Google documents too, as docx, xlsx, pptx, svg",
            )
            command.add_argument(
                "--export-as",
                dest="formats",
                type=_formats,
                metavar="FORMATS",
                help="in these formats: pdf, or csv,odt",
            )
        command.add_argument(
            "--overwrite", action="store_true", help="replace also what is newer there"
        )
        command.add_argument(
            "--background", default="", metavar="NAME", help="in a job of this name: see %%jobs"
        )
    _add_sync(tree)
    command = tree.add_command("rm", "Delete files of the drive.")
    command.add_argument("paths", nargs="+", metavar="PATH", help="drive:x")
    command.add_argument("-r", "--recursive", action="store_true", help="folders too")
    command = tree.add_command("du", "Show how much is in a folder.")
    command.add_argument("path", nargs="?", default="", metavar="PATH", help="drive: without it")
    command = tree.add_command("login", "Log in to Google Drive, for the commands above.")
    command.add_argument("--client", default="", metavar="FILE", help="JSON of your OAuth client")
    command.add_argument(
        "--service-account",
        nargs="?",
        default="",
        const="GOOGLE_APPLICATION_CREDENTIALS",
        metavar="KEY",
        help="a service account: the file of its key, or a variable or secret with it",
    )
    tree.add_command("logout", "Forget the login, here and at Google.")
    tree.add_command("whoami", "Show who is logged in, and how much space is used.")


def _add_sync(tree: Parser) -> None:
    command = tree.add_command("sync", "Bring two folders in step, or keep them so.")
    command.add_argument(
        "paths", nargs="*", metavar="FOLDER", help="two: one of this machine, and drive:x"
    )
    command.add_argument(
        "--delete", action="store_true", help="what one side has deleted, on the other too"
    )
    command.add_argument(
        "--max-delete",
        type=_share,
        default=0.25,
        metavar="SHARE",
        help="of all files, to delete at once (25%%, and always up to 10 files)",
    )
    command.add_argument("--watch", action="store_true", help="while this kernel lives")
    command.add_argument("--stop", action="store_true", help="end --watch, of one pair or of all")
    command.add_argument("--jobs", type=_jobs, default=JOBS, metavar="N", help="files at once (8)")


def _share(text: str) -> float:
    number = text[:-1] if text.endswith("%") else ""
    if not number.isdigit() or int(number) > 100:
        raise argparse.ArgumentTypeError(f"{text} is not a share such as 25%")
    return int(number) / 100


def _formats(text: str) -> str:
    from .export import FORMATS  # `%drive mount` needs nothing of it

    unknown = [x for x in text.split(",") if x not in FORMATS]
    if unknown:
        known = ", ".join(FORMATS)
        raise argparse.ArgumentTypeError(f"{unknown[0]} is no format; there are {known}")
    return text


def _jobs(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text} is not a number of files from 1 to 64")
    return int(text)

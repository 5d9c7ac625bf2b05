"""Folders, downloads, archives and copies: what puts files on the machine."""

from __future__ import annotations

import posixpath
import re
from typing import Optional, Sequence
from urllib.parse import unquote, urlsplit

from .options import options
from .shell import Command, NotUnderstood, quote
from .state import Draft, State

_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|7z|gz|bz2|xz|zst|tar\.\w+)$", re.I)
#: Program -> the command that unpacks what is not there yet, and its option for the folder.
_UNPACK = {
    "unzip": ("unzip -n -q", " -d "),
    "tar": ("tar --skip-old-files -xf", " -C "),
    "7z": ("7z x -y -aos", " -o"),
}
#: What nobody puts there.
_JUNK = ("__MACOSX", "sample_data", ".ipynb_checkpoints")
#: A file whose name only its server knows, in its folder.
_UNNAMED = "\ufffd"


# ---------------------------------------------------------------------- folders
def mkdir(command: Command, state: State) -> None:
    """Add a line that makes folders, unless a later step makes them."""
    for path in options(command, 1).rest:
        make_folder(path, state)


def make_folder(path: str, state: State) -> None:
    """Add a line that makes a folder."""
    place = state.place(path)
    draft = state.add_line(f"!mkdir -p {quote(path)}", path)
    draft.subject = (place,)
    state.set(state.folders, place, draft)


def remove(command: Command, state: State) -> None:
    """Drop the removal of an archive that is unpacked, or of a folder before its clone."""
    paths = options(command, 1).rest
    places = [state.place(path) for path in paths]
    if all(_is_unpacked(place, state) for place in places):
        state.drop("the archive is not kept")
        return
    if len(places) != 1:
        raise NotUnderstood("it deletes files")
    draft = state.add_line(f"!rm -rf {quote(paths[0])}", paths[0])
    if posixpath.basename(places[0]) not in _JUNK:
        draft.word, draft.subject = "deletes", tuple(places)
        state.removed.append(draft)


def _is_unpacked(place: str, state: State) -> bool:
    unnamed = posixpath.join(posixpath.dirname(place), _UNNAMED)
    is_archive = bool(_ARCHIVE.search(place))
    return place in state.unpacked or (unnamed in state.unpacked and is_archive)


def change(path: str, state: State) -> None:
    """Note that the kernel moves to a folder; after cells that stay, the move stays too."""
    place = state.place(path or "~")
    Draft("step", "", "cd_persist", (place,)).step()  # refused here where no line can say it
    draft = state.drop("the paths below count from it")
    draft.word, draft.subject = "stays" if state.settled else "cd", (place,)
    state.set(state, "cwd", place)
    if not state.settled:
        state.set(state, "final", place)


# ---------------------------------------------------------------------- downloads
def fetch(url: str, dest: str, place: str, state: State) -> Draft:
    """Add a download; ``dest`` is as it is recorded, ``place`` where the file will be."""
    draft = state.add("fetch", [url, *([dest] if dest else [])])
    state.make(posixpath.dirname(place) or place)
    state.set(state.files, place, draft)
    return draft


def fetch_to(url: str, target: str, name: str, state: State) -> Draft:
    """Add a download to a file, or into a folder, where its server calls it ``name``."""
    if target and not target.endswith("/"):
        place = state.place(target)
        return fetch(url, place, place, state)
    return fetch(url, state.folder(target), state.place(posixpath.join(target, name)), state)


def fetch_file(url: str, file: str, state: State) -> None:
    """Add a download to a file."""
    fetch_to(url, file.rstrip("/"), "", state)


def wget(command: Command, state: State) -> None:
    """Read ``wget URL... [-O FILE | -P FOLDER]``."""
    read = options(command, 1)
    _fetch_each(read.rest, read.value("-O"), read.value("-P"), state)


def curl(command: Command, state: State) -> None:
    """Read ``curl -L URL -o FILE`` and ``curl -O URL``."""
    read = options(command, 1)
    file = read.value("-o")
    if not file and len(command.output) == 1:
        file = command.output.pop()
    if not file and not read.has("-O"):
        raise NotUnderstood("it saves no file")
    _fetch_each(read.rest, file, read.value("--output-dir"), state)


def _fetch_each(urls: Sequence[str], file: str, folder: str, state: State) -> None:
    if file in ("-", "/dev/stdout") or (file and len(urls) != 1):
        raise NotUnderstood("it saves no file")
    for url in urls:
        url = url if "://" in url else f"http://{url}"
        name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]) or "index.html"
        fetch_to(url, file or posixpath.join(folder, ""), name, state)


def gdown(command: Command, state: State) -> None:
    """Read ``gdown URL`` and ``gdown --id ID``, with or without ``-O FILE``."""
    read = options(command)
    words = [*filter(None, [read.value("--id")]), *read.rest]
    if len(words) != 1:
        raise NotUnderstood("it names no file")
    download_shared(words[0], read.value("-O"), state)


def download_shared(source: str, output: str, state: State) -> None:
    """Add the download of a file that is shared on Google Drive."""
    url = source if "://" in source else f"https://drive.google.com/uc?id={source}"
    fetch_to(url, output, _UNNAMED, state)


def kaggle(command: Command, state: State) -> None:
    """Read ``kaggle datasets download``."""
    read = options(command, 2, 3)
    if read.rest[:2] != ["datasets", "download"]:
        raise NotUnderstood("only the datasets of Kaggle can be fetched")
    name, file = read.value("-d") or read.rest[-1], read.value("-f")
    folder = posixpath.join(read.value("-p"), "")
    zipped = file or f"{name.rpartition('/')[2]}.zip"
    url = f"kaggle://{name}" + (f"/{file}" if file else "")
    draft = fetch_to(url, folder, zipped, state)
    if read.has("--unzip"):
        _unpack(draft, state.folder(folder), "", state.place(folder + zipped), state)


# ---------------------------------------------------------------------- archives
def unzip(command: Command, state: State) -> None:
    """Read ``unzip FILE -d FOLDER``."""
    read = options(command, 1, 1)
    extract(read.rest[0], read.value("-d"), "unzip", state)


def tar(command: Command, state: State) -> None:
    """Read ``tar -xzf FILE -C FOLDER``."""
    if not command.words[1:2] or not command.words[1].startswith("-"):
        command.words[1:2] = [f"-{word}" for word in command.words[1:2]]  # tar xzf FILE
    read = options(command, 0, 0)
    file, strip = read.value("-f"), read.value("--strip-components")
    if not read.has("-x") or not file:
        raise NotUnderstood("it unpacks no whole archive")
    extract(file, read.value("-C"), "" if strip else "tar", state, strip)


def seven_zip(command: Command, state: State) -> None:
    """Read ``7z x FILE -oFOLDER``."""
    read = options(command, 2, 2)
    if read.rest[0] != "x":
        raise NotUnderstood("it unpacks no whole archive")
    extract(read.rest[1], read.value("-o"), "7z", state)


def extract(file: str, folder: str, program: str, state: State, strip: str = "") -> None:
    """Have an archive unpacked by the step that fetches it, from the drive, or by a program."""
    place, dest = state.place(file), state.folder(folder)
    unnamed = posixpath.join(posixpath.dirname(place), _UNNAMED)
    draft: Optional[Draft] = state.files.get(place)
    if draft is None and _ARCHIVE.search(place):  # its name may be one that only the server knows
        draft = state.files.get(unnamed)
    if draft is not None and draft.kind == "step" and "--unpack" not in draft.words:
        _unpack(draft, dest, strip, place, state)
        state.drop("in the line that fetches it: --unpack")
    elif place.startswith("drive:"):
        _unpack(state.add("fetch", [place]), dest, strip, place, state)
    elif program:
        command, option = _UNPACK[program]
        at = f"{option}{quote(folder)}" if folder else ""
        state.add_line(f"!{command} {quote(file)}{at}", file, folder)
        state.make(dest or ".")
    else:
        raise NotUnderstood("no line above fetches the archive")


def _unpack(draft: Draft, dest: str, strip: str, place: str, state: State) -> None:
    words = [draft.words[0], *([dest] if dest else []), "--unpack"]
    state.amend(draft, *words, *(["--strip", strip] if strip else []))
    state.make(dest or ".")
    state.unpacked.update([place, *(key for key, each in state.files.items() if each is draft)])


# ---------------------------------------------------------------------- copies
def copy(command: Command, state: State) -> None:
    """Read a copy from the drive: of one file it is a download."""
    read = options(command, 2, 2)
    source, target = read.rest
    place = state.place(source)
    is_file = bool(posixpath.splitext(place)[1])
    if read.has("-r") or read.has("-a"):
        is_file = bool(_ARCHIVE.search(place))
    if is_file:
        copy_file(source, target, state)
    elif not place.startswith("drive:"):
        raise NotUnderstood("only copies from the drive are steps")
    elif command.program == "rsync" and not state.place(target).startswith("drive:"):
        state.add_line(f"!rsync -a {quote(source)} {quote(target)}", source, target)
    else:
        _guard("cp -r", source, target, state)


def copy_file(source: str, target: str, state: State) -> None:
    """Add the download of a file from the drive."""
    place = state.place(source)
    if not place.startswith("drive:") or state.place(target).startswith("drive:"):
        raise NotUnderstood("only copies from the drive are steps")
    is_folder = target in (".", "..", "/content") or not posixpath.splitext(target)[1]
    folder = posixpath.join(target, "") if is_folder else target
    fetch_to(place, folder, posixpath.basename(place), state)


def move(command: Command, state: State) -> None:
    """Read ``mv FILE TARGET``."""
    source, target = options(command, 2, 2).rest
    file, mark, query = source.partition("?")  # wget names a file by all of its URL
    draft = state.files.get(state.place(file)) if mark else None
    if draft is None or not draft.words[0].endswith(f"?{query}"):
        _guard("mv", source, target, state)
        return
    place = state.place(target)
    state.amend(draft, draft.words[0], place)
    state.set(state.files, place, draft)
    state.drop("in the line that fetches it")


def _guard(program: str, source: str, target: str, state: State) -> None:
    """Add a line that puts something where nothing is yet."""
    name, place = posixpath.basename(source.rstrip("/")), state.place(target)
    if place.startswith("drive:") or not name.strip("."):
        raise NotUnderstood("it writes to the drive")
    state.place(source)
    is_folder = place == "." or place in state.folders or place in state.clones
    if is_folder or target.endswith("/") or target in (".", ".."):
        target = posixpath.join(target, name)
    elif posixpath.splitext(name)[1] and not posixpath.splitext(target)[1]:
        raise NotUnderstood("its target may be a folder or a file")
    state.make(posixpath.dirname(state.place(target)))
    line = f"![ -e {quote(target)} ] || {program} {quote(source)} {quote(target)}"
    state.add_line(line, source, target)


def link(command: Command, state: State) -> None:
    """Read ``ln -s TARGET NAME``; what is deleted before it is deleted in one line with it."""
    read = options(command, 2, 2)
    if not read.has("-s"):
        raise NotUnderstood("it makes no link to one place")
    source, name = read.rest
    state.place(source)
    if name.endswith("/") or name in (".", ".."):
        name = posixpath.join(name, posixpath.basename(source.rstrip("/")))
    is_removed = state.absorb_removal(state.place(name), "in the line of the link")
    first = f"rm -rf {quote(name)} && " if is_removed else ""
    state.add_line(f"!{first}ln -sfn {quote(source)} {quote(name)}", name)

"""The options of programs, and how a command spells them: one line of the table adds a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Tuple

from .shell import Command, NotUnderstood

#: Program, and options that a step has too or that change only how a thing is done. Names of one
#: option have ``/`` between them, ``=`` takes a value. A command with another option is refused.
_TABLE = """
pip install  --requirement/-r= --editable/-e= --index-url/-i= --find-links/-f= --constraint/-c=
    --extra-index-url= --torch-backend= --pre --no-deps --upgrade/-U --quiet/-q --verbose/-v
    --progress-bar= --no-cache-dir --no-cache --disable-pip-version-check --root-user-action=
    --no-warn-script-location --no-warn-conflicts --user --system --yes/-y --prefer-binary
    --break-system-packages --timeout= --default-timeout= --retries= --use-deprecated=
    --use-feature= --upgrade-strategy= --force-reinstall --ignore-installed/-I --no-input
    --trusted-host= --cache-dir= --reinstall --index-strategy= --no-color --use-pep517
pip uninstall  -y/--yes -q/--quiet --break-system-packages --system
conda  -c/--channel= -y/--yes -q/--quiet
apt  -y/--yes/--assume-yes -q/--quiet -f/--fix-broken -m/--fix-missing -o/--option=
    --no-install-recommends --allow-downgrades --no-upgrade
git clone  -b/--branch= --depth= -q/--quiet --progress --single-branch -v/--verbose --filter=
    --submodules/--recurse-submodules/--recursive -j/--jobs= --shallow-submodules
    --no-single-branch --no-tags
git checkout  -q/--quiet -f/--force --detach --recurse-submodules -b -B -t
mkdir  -p/--parents -v/--verbose -m/--mode=
rm  -r/-R/--recursive -f/--force -v -i -d
wget  -O/--output-document= -P/--directory-prefix= -q/--quiet -c/--continue -nc/--no-clobber
    --no-check-certificate --show-progress -N -v -nv/--no-verbose --progress= -t/--tries=
    -T/--timeout= --no-cache --content-disposition --no-cookies -U/--user-agent= --no-hsts
curl  -o/--output= -O/--remote-name --output-dir= -L/--location -s/--silent -S/--show-error
    -f/--fail -k/--insecure -#/--progress-bar -C/--continue-at= --retry= --compressed
    -J/--remote-header-name --create-dirs -v -g --max-time= -A/--user-agent=
gdown  -O/--output= --id= --fuzzy -q/--quiet -c/--continue --no-cookies --no-check-certificate
    --remaining-ok
kaggle  -d/--dataset= -p/--path= -f/--file= --unzip -q/--quiet --force -o
unzip  -q -o -n -d= -u -v
tar  -x/--extract -f/--file= -z/--gzip -j/--bzip2 -J/--xz -v -C/--directory= -I= -p --zstd
    --strip-components= --no-same-owner
7z  -y -aos -aoa -bd -o=
cp  -r/-R/-a/--recursive -v -n -u -f -p
rsync  -a/-r/-R/--recursive -v -n -u -z -P -h -p --progress
mv  -f -n -v
ln  -s/--symbolic -f/--force -n -T -v
"""
_SAME = {
    **dict.fromkeys(("mamba", "micromamba"), "conda"),
    **dict.fromkeys(("apt-get", "aptitude"), "apt"),
    **dict.fromkeys(("7za", "7zr"), "7z"),
}


def _read_table() -> Dict[str, Dict[str, Tuple[str, bool]]]:
    """Return program -> name of an option -> its first name, and whether it takes a value."""
    table: Dict[str, Dict[str, Tuple[str, bool]]] = {}
    for row in _TABLE.strip().replace("\n    ", " ").split("\n"):
        program, _, names = row.partition("  ")
        table[program] = {}
        for option in names.split():
            first, *others = option.rstrip("=").split("/")
            for name in (first, *others):
                table[program][name] = (first, option.endswith("="))
    return table


_OPTIONS = _read_table()


@dataclass
class Options:
    """The options of a command by their first names in the table, and its other words."""

    pairs: List[Tuple[str, str]]
    rest: List[str]

    def value(self, name: str) -> str:
        """Return the last value of an option; empty: it is not there."""
        return next((v for n, v in reversed(self.pairs) if n == name), "")

    def has(self, name: str) -> bool:
        """Return whether an option is there."""
        return any(name == each for each, _ in self.pairs)


def options(command: Command, least: int = 0, most: int = 999, verb: str = "") -> Options:
    """Return the options of a command and its other words, which are to be so many.

    `NotUnderstood` where it has another option than those of the table. ``verb`` is the first word
    behind the program, where that is a part of its name in the table.
    """
    program = _SAME.get(command.program, command.program)
    known = _OPTIONS[f"{program} {verb}".strip()]
    options = Options([], [])
    queue = command.words[1:]
    while queue:
        word = queue.pop(0)
        if word == "--":
            options.rest += queue
            break
        if word.startswith("-") and len(word) > 1:
            _read_option(word, known, queue, options)
        else:
            options.rest.append(word)
    options.rest = options.rest[1:] if verb else options.rest
    if not least <= len(options.rest) <= most:
        raise NotUnderstood("it names nothing" if not options.rest else "it names several things")
    return options


def _read_option(
    word: str, known: Dict[str, Tuple[str, bool]], queue: List[str], options: Options
) -> None:
    """Read a word with an option, or with several of one letter, and the value behind it."""
    name, equals, value = word.partition("=")
    behind = ""
    if name not in known and not word.startswith("--"):
        name, behind, equals = word[:2], word[2:], ""
    if name not in known:
        raise NotUnderstood(f"{name} has no counterpart in a step")
    first, is_valued = known[name]
    if is_valued:
        value = value if equals else behind or (queue.pop(0) if queue else "")
        options.pairs.append((first, value))
        return
    options.pairs.append((first, ""))
    if behind:
        _read_option(f"-{behind}", known, queue, options)

"""``%fetch``."""

from __future__ import annotations

from typing import Any, List, Tuple

from ..core.arguments import Parser, complete_folder
from ..core.display import Report
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import judge
from .drive_cache import STORES
from .step import parser
from .urls import KINDS


class FetchMagic(Magic):
    """Have files from elsewhere at their places, and remember them in the notebook's setup cell.

    What is there already is not fetched again. The hash of each file is recorded, so that the next
    machine gets the same file, or an error if it has changed. A download that was interrupted is
    resumed. A file that you have changed is overwritten by ``--update`` alone. DEST is a folder if
    it ends in ``/``, is one, or there are several URLs; else the file's name. It counts from the
    current directory.

    ``--cache drive:cache`` keeps a copy of the file on your drive, by its hash: the next machine
    takes that, verifies it, and asks the web only if that fails. The message says which it was.

    ``--unpack`` reads zip, tar, 7z, gz, bz2, xz and zst. Kaggle has its own login: KAGGLE_USERNAME
    and KAGGLE_KEY, or its kaggle.json. ``s3://bucket/file``, and the URLs of gs, az, ftp, sftp and
    file, are read by fsspec: ``pip install fsspec``.

    Examples
    --------
    ::

        %fetch https://host/train.csv                    # into the current directory
        %fetch https://host/a.csv https://host/b.csv data/
        %fetch https://host/images.tar.gz data --unpack --strip 1
        %fetch https://drive.google.com/file/d/1a2B3c4D5e6F7g8H9i0J/view weights.pt
        %fetch hf://datasets/owner/name@main/train.csv data/ --token HF_TOKEN
        %fetch kaggle://owner/dataset data --unpack      # or one file of it: /train.csv behind it
        %fetch zenodo:1234567 data/                      # all files of a record, or one: /file.csv
        %fetch drive:data.zip data --unpack              # from the drive that is mounted
        %fetch https://host/train.csv --cache drive:cache   # from there on the next machine
        %fetch https://host/train.csv --update           # take what is there now, and record that
        %fetch                                           # what is remembered, and its state
    """

    name = "fetch"

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def bare(self, call: Call) -> Any:
        """Show each file and its state."""
        parts = self.session.recorded_parts(self.name)
        if not parts:
            say("No files are remembered. For example: %fetch https://host/data.csv data/")
            return parts
        rows: List[Tuple[str, ...]] = []
        for part in parts:
            verdict = judge(part, self.host)
            rows.append((verdict.mark, part.url, verdict.message))
        show(Report((), tuple(rows), head=("state", "address", "file")))
        return parts

    def complete(self, line: str, symbol: str) -> List[str]:
        """Offer options, beginnings of URLs, and folders to put files into."""
        options = super().complete(line, symbol)
        if line[: len(line) - len(symbol)].split()[-1:] == ["--cache"]:
            places = [f"{name}:" for name in STORES if name.startswith(symbol)]
            return [*places, *complete_folder(symbol, self.host)] if ":" in symbol else places
        if symbol.startswith("-") or "://" in symbol:
            return options
        kinds = [kind for kind in KINDS if kind.startswith(symbol) and kind.count("/") < 3]
        return [*options, *kinds, *complete_folder(symbol, self.host)]

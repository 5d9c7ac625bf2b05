"""``%fetch``."""

from __future__ import annotations

from typing import Any, List

from ..core.arguments import complete_folder
from ..core.display import Report
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import judge


class FetchMagic(Magic):
    """Have files from elsewhere at their places, and remember them in the notebook's setup cell.

    What is there already is not fetched again. The hash of what came is recorded, so that the next
    machine gets the same file or is told that it changed. A download that was cut off goes on
    where it was. A file that you have changed is overwritten by ``--update`` alone. DEST is a
    folder if it ends in ``/``, is one, or there are several URLs; else the file's name. It counts
    from where the kernel started, as in ``%cd_persist``.

    Examples
    --------
    ::

        %fetch https://host/train.csv                    # to where the kernel started
        %fetch https://host/a.csv https://host/b.csv data/
        %fetch https://host/images.tar.gz data --unpack --strip 1
        %fetch https://drive.google.com/file/d/1a2B3c4D5e6F7g8H9i0J/view weights.pt
        %fetch hf://datasets/owner/name@main/train.csv data/ --token HF_TOKEN
        %fetch kaggle://owner/dataset data --unpack      # or one file of it: /train.csv behind it
        %fetch zenodo:1234567 data/                      # all files of a record, or one: /file.csv
        %fetch drive:data.zip data --unpack              # from the drive that is mounted
        %fetch https://host/train.csv --update           # take what is there now, and record that
        %fetch                                           # what is remembered, and how it stands

    Options
    -------
    ``--sha256 HEX``: refuse any other file, with ``--update`` too. ``--unpack``: what is in it into
    a folder (zip, tar, 7z, gz, bz2, xz, zst), and ``--strip N``: without the first N folders of its
    paths. ``--update``: as above, over your changes too. ``--token NAME``: the secret to send to
    that host, and no other. Kaggle's own: KAGGLE_USERNAME and KAGGLE_KEY, or its kaggle.json.
    ``s3://bucket/file``, and those of gs, az, ftp, sftp and file, are read by fsspec:
    ``pip install colab-magics[fetch]``.
    All: ``-q``: say nothing. ``-o``: return the outcome. ``--no-record``: do not remember it.
    ``--dry-run``: only say what differs.
    """

    name = "fetch"
    offers = (
        "--unpack", "--strip", "--sha256", "--update", "--token", "--dry-run",
        "https://", "hf://", "kaggle://", "zenodo:", "drive:",
    )  # fmt: skip

    def bare(self, call: Call) -> Any:
        """Show each file and how it stands."""
        parts = self.session.standing(self.name)
        if not parts:
            say("No file is remembered here. For instance: %fetch https://host/data.csv data/")
            return parts
        rows: List[Any] = []
        for part in parts:
            verdict = judge(part, self.host)
            rows.append((verdict.state, part.url, verdict.message))
        show(Report((), tuple(rows)))
        return parts

    def complete(self, line: str, symbol: str) -> List[str]:
        """Options, beginnings of URLs, and folders to put things into."""
        found = super().complete(line, symbol)
        if symbol.startswith("-") or "://" in symbol:
            return found
        return found + complete_folder(symbol, self.host)

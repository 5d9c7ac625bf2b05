"""``%fetch``."""

from typing import Any, List

from ..arguments import quote
from ..display import Report
from ..setup.report import judge
from ._base import Call, Magic, say, show

__all__ = ["FetchMagic"]


class FetchMagic(Magic):
    """Fetch files, verified and whole, and remember them with the hash that was seen.

    From the web, from a link that Google Drive gives for sharing, from Hugging Face (``hf://``),
    Kaggle (``kaggle://``), Zenodo (``zenodo:``), the mounted drive (``drive:``), and with fsspec
    from wherever that goes (``s3://``, ``gs://``). A download that was cut off goes on where it
    ended. What is there is left alone, and proved to be the same; where the file has changed since
    on its server, that is an error, until ``--update``. What you have changed is never overwritten.

    Examples
    --------
    ::

        %fetch https://host/data.csv                      # here
        %fetch https://host/a.csv https://host/b.csv data/    # into a folder
        %fetch https://host/data.csv train.csv            # under another name
        %fetch https://host/images.zip data/ --unpack     # zip, tar.*, gz, 7z; then it is deleted
        %fetch https://host/src.tar.gz src/ --unpack --strip 1
        %fetch https://drive.google.com/file/d/1AbC/view weights.pt
        %fetch hf://datasets/owner/name/data.parquet --token HF_TOKEN
        %fetch kaggle://owner/dataset data/ --unpack
        %fetch zenodo:1234567/data.csv
        %fetch drive:big.zip data/ --unpack               # from the drive, to this machine
        %fetch https://host/data.csv --update             # what it is now, recorded anew
        %fetch                                            # how the remembered ones stand

    Options
    -------
    ``--sha256 HEX``: the hash to expect, once for each address; otherwise the one that is seen is
    recorded. ``--strip N``: without the N leading folders. ``--token NAME``: the secret (see
    ``%secret``) to send to the server, and to no other that it leads to. ``-q``: say nothing.
    ``-o``: return the outcome. ``--dry-run``: only say what is missing. ``--no-record``: do not
    remember it.
    """

    name = "fetch"
    offers = ("--sha256", "--unpack", "--strip", "--update", "--token", "drive:", "hf://",
              "kaggle://", "zenodo:")  # fmt: skip

    def bare(self, call: Call) -> Any:
        """Show each file and how it stands."""
        parts = self.session.standing("fetch")
        if not parts:
            say("Nothing that was fetched is remembered here. For instance: %fetch https://...")
            return parts
        rows: List[Any] = []
        for part in parts:
            verdict = judge(part, self.host)
            rows.append((verdict.state, quote(part.urls[0]), verdict.message))
        show(Report((), tuple(rows)))
        return parts

"""``%drive login`` in a real kernel: a person opens the page, pastes an address, and pushes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from doubles.certificate import self_signed
from doubles.google_drive import CLIENT_ID, CLIENT_SECRET, GoogleDrive
from support.colab_page import Attended
from support.front_end import started
from support.machine import Machine
from support.other_front_ends import VSCode

pytestmark = pytest.mark.once

HOSTS = ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com")


class Person(Attended, VSCode):
    """Who follows a link that is shown, in a browser of another machine."""

    pasted: str = ""
    proxies: Dict[str, str] = {}
    certificate: str = ""

    def heard(self, message: Dict[str, Any]) -> None:
        """Open a link, and prepare what to paste."""
        super().heard(message)
        text = message["content"].get("data", {}).get("text/plain", "")
        link = re.search(r"https://accounts\.google\.com/\S+", text)
        if link and not self.pasted:
            answer = requests.get(
                link[0], allow_redirects=False, proxies=self.proxies, verify=self.certificate
            )
            self.pasted = answer.headers["Location"]
            self.typed.append([self.pasted])


def test_login_and_push(machine: Machine, folder: Path, tmp_path: Path) -> None:
    """The pasted address is asked for as a password; no token, code or address of a login that is
    done stays in the notebook, and files go to Google.
    """
    certificate, key = self_signed(tmp_path, *HOSTS)
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    (folder / "client.json").write_text(json.dumps({"installed": client}))
    (folder / "data.csv").write_text("1,2\n")
    with GoogleDrive((certificate, key)) as drive:
        proxy = {"HTTPS_PROXY": drive.proxy.url, "REQUESTS_CA_BUNDLE": str(certificate)}
        behind = replace(machine, variables={**machine.variables, **proxy})
        with started(behind, folder) as kernel:
            page = kernel.open(Person)
            page.proxies, page.certificate = {"https": drive.proxy.url}, str(certificate)
            cells = [
                "%load_ext colab_magics\n%drive login --client client.json",
                "%drive whoami",
                "%drive push data.csv drive:project/",
            ]
            answers = [page.run(cell, metadata=page.about(0)) for cell in cells]
            assert [answer.reply["status"] for answer in answers] == ["ok"] * 3
            assert "Google Drive of ada@example.com" in answers[-1].text
            assert drive.tree() == {"project/data.csv": b"1,2\n"}
            shown = [m for a in answers for m in a.messages]
            (code,) = parse_qs(urlsplit(page.pasted).query)["code"]
            secrets = [code, *drive.oauth.access, *drive.oauth.refresh, CLIENT_SECRET]
            assert len(secrets) == 5
            assert not [secret for secret in secrets if secret in repr(shown)]
            assert page.prompts and "127.0.0.1:" not in _last_display(answers[0].messages)


def _last_display(messages: List[Dict[str, Any]]) -> str:
    """What stays in the notebook: the last state of the display."""
    kinds = ("display_data", "update_display_data")
    shown = [m for m in messages if m["header"]["msg_type"] in kinds]
    return str(shown[-1]["content"]["data"])

"""The files of a torch, as far as somebody reads them who does not import it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Iterable, Mapping, Sequence, Tuple

PTX, SASS = 1, 2


def fatbin(*entries: Tuple[int, int]) -> bytes:
    """A fat binary of these (kind, architecture)s, as NVIDIA's compiler lays it out."""
    body = b""
    for kind, number in entries:
        code = bytes(8 * number)
        head = struct.pack("<HHIQ", kind, 0x101, 64, len(code)) + bytes(12)
        body += head + struct.pack("<I", number) + bytes(64 - len(head) - 4) + code
    return b"\x50\xed\x55\xba" + struct.pack("<HHQ", 1, 16, len(body)) + body


def library(*fatbins: bytes, noise: Iterable[bytes] = (b"\x50\xed\x55\xba" * 3,)) -> bytes:
    """A library with these fat binaries, and bytes between them that are none."""
    between = b"\x7fELF" + b"".join(noise)
    return between + between.join([*fatbins, b""])


def elf(sections: Mapping[str, bytes]) -> bytes:
    """A library of Linux with these sections, as far as their table says where they stand."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    body, heads = b"", [bytes(64)]
    for name, data in [*sections.items(), (".shstrtab", names)]:
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        heads.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, 64 + len(body), len(data), 0, 0, 8, 0))
        body += data
    head = b"\x7fELF\x02\x01" + bytes(34) + struct.pack("<Q", 64 + len(body)) + bytes(10)
    return head + struct.pack("<HHH", 64, len(heads), len(heads) - 1) + body + b"".join(heads)


def put_torch(folder: Path, version: str, architectures: Sequence[int]) -> None:
    """Put a torch of this version (``2.8.0+cu126``) into a folder of packages."""
    place = folder / "torch"
    (place / "lib").mkdir(parents=True, exist_ok=True)
    local = version.partition("+cu")[2]
    cuda = f"'{local[:-1]}.{local[-1]}'" if local else "None"
    cuda = "'10.2'" if "+" not in version else cuda
    (place / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
    (place / "version.py").write_text(
        "from typing import Optional\n\n"
        "__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']\n"
        f"__version__ = '{version}'\ndebug = False\ncuda: Optional[str] = {cuda}\n"
        "git_version = 'x'\nhip: Optional[str] = None\n"
    )
    one = fatbin(*((SASS, number) for number in architectures))
    (place / "lib" / "libtorch_cuda.so").write_bytes(library(one, one, one))

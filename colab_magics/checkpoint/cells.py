"""A cell that has run: its outputs as the front end shows them, and the record that is kept.

The outputs are made from the messages that the kernel sends, since no front end can be asked for
them once the kernel is killed: https://jupyter-client.readthedocs.io/en/stable/messaging.html
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, List, Literal, NamedTuple, Optional, Tuple, Union

from ..core.errors import ColabMagicsError

#: The most characters of the outputs of a cell; of one with more, none are kept.
LARGEST = 10_000_000
#: Data that only the kernel which sent it can draw.
_WIDGET = "application/vnd.jupyter.widget-view+json"
_SHOWN = {"stream", "display_data", "execute_result", "clear_output", "update_display_data"}

#: ``failed``: also one that still ran. ``unseen``: it ran before this package was loaded.
State = Literal["finished", "failed", "unseen"]


class Effects(NamedTuple):
    """What a cell does to names, as far as its source tells.

    ``reads``: it needs their values from before it; ``defines``: it binds them anew; ``changes``:
    it may change the objects that they name; ``constants``: a name, and what it always stands for.
    ``uses`` and ``alters``: what its functions read and change when they are called later.
    """

    reads: FrozenSet[str] = frozenset()
    defines: FrozenSet[str] = frozenset()
    changes: FrozenSet[str] = frozenset()
    constants: FrozenSet[Tuple[str, str]] = frozenset()
    uses: FrozenSet[str] = frozenset()
    alters: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Run:
    """A cell as it has run. ``effects`` is None where its source does not tell them.

    ``outputs`` is a list in JSON as a notebook file has it; None where it was too large.
    """

    id: str
    hash: str
    state: State = "finished"
    effects: Optional[Effects] = None
    outputs: Optional[str] = None


class KeptCell(NamedTuple):
    """A cell as a snapshot has it: see `manifest.Cell`. ``record`` stands where outputs do."""

    id: str
    hash: str
    record: str


def encode_run(run: Run) -> KeptCell:
    """Return a run as it is kept."""
    effects = run.effects and [sorted(part) for part in run.effects]
    head = json.dumps({"state": run.state, "effects": effects})
    return KeptCell(run.id, run.hash, f'{head[:-1]}, "outputs": {run.outputs or "null"}}}')


def decode_run(cell: KeptCell) -> Run:
    """Return the run that is kept; `ColabMagicsError` where its record has another form."""
    try:
        record = json.loads(cell.record)
        outputs, effects = record["outputs"], record["effects"]
        if effects is not None:
            pairs = frozenset((_text(name), _text(value)) for name, value in effects.pop(3))
            reads, defines, changes, *later = (frozenset(map(_text, part)) for part in effects)
            uses, alters = later
            effects = Effects(reads, defines, changes, pairs, uses, alters)
        if record["state"] not in ("finished", "failed", "unseen"):
            raise ValueError
        if outputs is not None and not all(map(_is_output, outputs)):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ColabMagicsError(
            "What the checkpoint has of a cell cannot be read.",
            "Run the notebook from the top, or take an earlier one: %checkpoint list",
            code="damaged-checkpoint",
        ) from None
    text = None if outputs is None else json.dumps(outputs)
    return Run(cell.id, cell.hash, record["state"], effects, text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _is_output(output: Any) -> bool:
    """Tell whether an output has the form in which `Outputs` keeps one."""
    kind = output["output_type"]
    if kind == "stream":
        return output["name"] in ("stdout", "stderr") and isinstance(output["text"], str)
    is_display = kind in ("display_data", "execute_result")
    return is_display and isinstance(output["data"], dict) and isinstance(output["metadata"], dict)


class _Display(NamedTuple):
    """Two parts of a display's JSON, the second of which an update replaces."""

    head: str
    body: str
    id: str


class Outputs:
    """The outputs of a cell, as a notebook file has them, made from messages."""

    def __init__(self) -> None:
        #: A display, or the name of a stream and what it got.
        self._items: List[Union[_Display, List[str]]] = []
        self._size = 0
        self._clears_next = False

    def add(self, kind: str, content: Dict[str, Any]) -> None:
        """Add what a message shows, or clear what was there."""
        if kind == "clear_output":
            self._clears_next = True
            if content.get("wait"):
                return
        if self._clears_next:
            self._items, self._size, self._clears_next = [], 0, False
        if kind == "clear_output" or self._size > LARGEST:  # it grows until it is cleared
            return
        if kind == "stream":
            self._add_stream(str(content["name"]), str(content["text"]))
        else:
            head = f'{{"output_type": "{kind}", '
            if kind == "execute_result":
                head += f'"execution_count": {json.dumps(content.get("execution_count"))}, '
            display = _Display(head, *_encode_display(content))
            self._items.append(display)
            self._size += len(display.body)

    def update(self, content: Dict[str, Any]) -> None:
        """Change a display wherever it is shown in this cell."""
        for at, item in enumerate(self._items):
            if isinstance(item, _Display) and item.id and item.id == _display_id(content):
                body, _ = _encode_display(content)
                self._items[at] = item._replace(body=body)
                self._size += len(body) - len(item.body)

    def encode(self) -> Optional[str]:
        """Return the list of outputs in JSON; None where it is too large."""
        if self._size > LARGEST:
            return None
        return f"[{', '.join(map(_encode_item, list(self._items)))}]"

    def _add_stream(self, name: str, text: str) -> None:
        last = self._items[-1] if self._items else None
        if isinstance(last, list) and last[0] == name:
            last.append(text)
        else:
            self._items.append([name, text])
        self._size += len(text)


def _encode_item(item: Union[_Display, List[str]]) -> str:
    if isinstance(item, _Display):
        return item.head + item.body
    return json.dumps({"output_type": "stream", "name": item[0], "text": "".join(item[1:])})


def _encode_display(content: Dict[str, Any]) -> Tuple[str, str]:
    """Return the data of a display in JSON at once, since they may be changed later; and its id."""
    from jupyter_client.jsonutil import json_default

    data = {kind: value for kind, value in content.get("data", {}).items() if kind != _WIDGET}
    parts = {"data": data, "metadata": content.get("metadata", {})}
    return json.dumps(parts, default=json_default)[1:], _display_id(content)


def _display_id(content: Dict[str, Any]) -> str:
    return str((content.get("transient") or {}).get("display_id") or "")


#: Gets the type of a message, its content, and the id of the request that it answers.
Observer = Callable[[str, Dict[str, Any], str], None]


class Tee:
    """Shows an observer what a kernel's session sends; it is sent whatever happens to that."""

    def __init__(self, session: Any, observer: Observer) -> None:
        self._session, self._observer, self._send = session, observer, session.send
        session.send = self

    def __call__(
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        """Send a message: the signature of jupyter_client's ``Session.send``."""
        with suppress(Exception):
            self._observe(msg_or_type, content, parent)
        return self._send(stream, msg_or_type, content, parent, *arguments, **options)

    def _observe(self, message: Any, content: Any, parent: Any) -> None:
        kind, header = message, parent or {}
        if not isinstance(message, str):
            kind, content = message["header"]["msg_type"], message["content"]
            header = message["parent_header"]
        if kind in _SHOWN:
            header = header.get("header", header)
            self._observer(kind, content, str(header.get("msg_id", "")))

    def close(self) -> None:
        """Take it away, unless another one was put over it, which still calls it."""
        self._observer = lambda kind, content, request: None
        if self._session.__dict__.get("send") is self:
            del self._session.send

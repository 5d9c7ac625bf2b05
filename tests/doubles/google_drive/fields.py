"""Drive's parameter ``fields``: what of an answer is sent."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional

#: What files have; another name is an error, as at Google.
_NAMES = (
    "kind id name mimeType description starred trashed explicitlyTrashed trashedTime parents"
    " properties appProperties spaces version webContentLink webViewLink iconLink hasThumbnail"
    " thumbnailLink viewedByMe viewedByMeTime createdTime modifiedTime modifiedByMe"
    " modifiedByMeTime sharedWithMeTime sharingUser owners driveId teamDriveId"
    " lastModifyingUser shared ownedByMe capabilities permissions permissionIds"
    " originalFilename fullFileExtension fileExtension md5Checksum sha1Checksum sha256Checksum"
    " size quotaBytesUsed headRevisionId contentHints imageMediaMetadata videoMediaMetadata"
    " exportLinks shortcutDetails resourceKey linkShareMetadata copyRequiresWriterPermission"
    " contentRestrictions isAppAuthorized folderColorRgb writersCanShare labelInfo"
)
FILE_FIELDS = frozenset(_NAMES.split())
_BRIEF = "kind,id,name,mimeType"
#: What is sent where the request does not say.
DEFAULTS = {
    "file": _BRIEF,
    "files": f"kind,incompleteSearch,nextPageToken,files({_BRIEF})",
    "changes": "kind,nextPageToken,newStartPageToken,"
    f"changes(kind,type,changeType,time,removed,fileId,file({_BRIEF}))",
}
_TOKEN = re.compile(r"\s*([\w*]+|[(),/])")
Mask = Dict[str, Any]


def select(answer: Any, kind: str, fields: Optional[str]) -> Any:
    """Return what of an answer the fields name; ``ValueError`` for a name that does not exist."""
    mask = parse_mask(fields or DEFAULTS.get(kind, "*"))
    of_file = {"file": mask, "files": mask.get("files"), "changes": _below(mask, "changes", "file")}
    unknown = {*(of_file.get(kind) or {})} - FILE_FIELDS - {"*"}
    if unknown:
        raise ValueError(sorted(unknown)[0])
    return _apply(answer, mask)


def parse_mask(fields: str) -> Mask:
    """Read ``a,b(c,d/e)``; an empty mask below a name means all of it."""
    tokens = _TOKEN.findall(fields)
    if re.sub(r"\s", "", "".join(tokens)) != re.sub(r"\s", "", fields):
        raise ValueError(fields)
    mask = _read(tokens)
    if tokens:
        raise ValueError(fields)
    return mask


def _read(tokens: Any) -> Mask:
    mask: Mask = {}
    while True:
        if not tokens or not re.fullmatch(r"[\w*]+", tokens[0]):
            raise ValueError("".join(tokens))
        inner = mask.setdefault(tokens.pop(0), {})
        while tokens and tokens[0] == "/":
            tokens.pop(0)
            inner = inner.setdefault(tokens.pop(0), {})
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            inner.update(_read(tokens))
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(")")
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _below(mask: Mask, *names: str) -> Mask:
    for name in names:
        mask = mask.get(name) or {}
    return mask


def _apply(value: Any, mask: Mask) -> Any:
    if not mask or "*" in mask:
        return value
    if isinstance(value, list):
        return [_apply(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _apply(item, mask[name]) for name, item in value.items() if name in mask}

"""A ZIP with one Markdown file and the pictures that it shows; nothing is unpacked onto a disk.

In: bytes that begin with `PK`. Out: the Markdown's bytes, and a picture by the address that the Markdown gives it.
Callers: detected.py, comparing.py. Sizes that the file claims are not believed: what is read is counted.
"""

import io
import posixpath
import zipfile
import zlib
from contextlib import suppress
from urllib.parse import unquote

from bdnews_dispatch.errors import IssueError

#: Entries of any kind; octets of one picture, and of all that are read, unpacked.
_MOST_ENTRIES, _MOST_PICTURE, _MOST_PICTURES = 500, 16 * 1024 * 1024, 96 * 1024 * 1024
_TEXTS = (".md", ".markdown", ".txt")
_PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp")
#: Bit 0: encrypted; bit 11: the name is UTF-8 (APPNOTE 4.4.4).
_ENCRYPTED, _UTF8 = 0x1, 0x800
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
#: What zipfile meets in a file that was made to break it.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError, RuntimeError)


def is_zip(data: bytes) -> bool:
    """Whether this is a ZIP, an empty one included."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


class Zipped:
    """The opened file.

    Attributes:
        markdown: the bytes of its one text.

    Args:
        max_bytes: of the text.

    Raises:
        IssueError: `issue.zip`: it is damaged, encrypted, too large, or holds no text or several.
    """

    def __init__(self, data: bytes, *, max_bytes: int) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise _refused("这个 ZIP 已损坏", "请重新打包。") from error
        entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        if len(entries) > _MOST_ENTRIES:
            raise _refused(f"这个 ZIP 里超过 {_MOST_ENTRIES} 个文件", "请只放入一期的正文与图片。")
        entries = [entry for entry in entries if not _is_litter(_names(entry)[0])]
        self._entries = {name: entry for entry in entries for name in reversed(_names(entry))}
        texts = [entry for entry in entries if entry.filename.lower().endswith(_TEXTS)]
        if len(texts) != 1:
            names = "、".join(sorted(_names(entry)[0] for entry in texts)[:5])
            found = f"{len(texts)} 个（{names}）" if texts else "没有"
            raise _refused(
                f"这个 ZIP 里应有且只有一个 Markdown 文件，现在{found}", "请把一期打成一个包，图片放在旁边。"
            )
        self._folders = {posixpath.dirname(name) for name in _names(texts[0])}
        self._left = _MOST_PICTURES
        self.markdown = self._read(texts[0], max_bytes)

    def picture(self, address: str) -> bytes | None:
        """The picture at an address as Markdown writes it, relative to the text; None: there is none.

        Raises:
            IssueError: it is too large, or damaged.
        """
        address = unquote(address).replace("\\", "/")
        paths = (posixpath.normpath(posixpath.join(folder, address)) for folder in self._folders)
        entry = next((self._entries[path] for path in paths if path in self._entries), None)
        if entry is None or not entry.filename.lower().endswith(_PICTURES):
            return None
        data = self._read(entry, min(_MOST_PICTURE, self._left))
        self._left -= len(data)
        return data

    def _read(self, entry: zipfile.ZipInfo, most: int) -> bytes:
        name = _names(entry)[0]
        if entry.flag_bits & _ENCRYPTED:
            raise _refused("这个 ZIP 加了密码，不能读", "请打成不加密码的包。")
        if entry.compress_type not in _PACKED:
            raise _refused(f"{name} 的压缩方式不能读", "请用通常的方式（deflate）打包。")
        try:
            with self._zip.open(entry) as file:
                data = file.read(most + 1)
        except _BROKEN as error:
            raise _refused(f"{name} 已损坏", "请重新打包。") from error
        if len(data) > most:
            raise _refused(
                f"{name} 解开后过大", "正文不超过 issues.max_bytes；每张图片不超过 16 MB，共不超过 96 MB。"
            )
        return data


def _names(entry: zipfile.ZipInfo) -> list[str]:
    """What it may be called, the likeliest first: where it does not say that it is UTF-8, Windows writes GB 18030, and
    some names are both.
    """
    if entry.flag_bits & _UTF8:
        return [posixpath.normpath(entry.filename.replace("\\", "/"))]
    raw = entry.filename.encode("cp437", "replace").replace(b"\\", b"/")
    names = []
    for encoding in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            names.append(posixpath.normpath(raw.decode(encoding)))
    return names or [posixpath.normpath(entry.filename)]


def _is_litter(name: str) -> bool:
    """What systems put beside: `__MACOSX/`, `.DS_Store`, `Thumbs.db`."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _refused(message: str, hint: str) -> IssueError:
    return IssueError(message, code="issue.zip", hint=f"{hint}没有收入任何内容。")

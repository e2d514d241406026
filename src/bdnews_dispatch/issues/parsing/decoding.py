"""From the bytes of an issue file to its lines. In: bytes. Out: lines without their ends. Callers:
issue.py, detection.py.

UTF-8 with or without BOM, UTF-16 (with BOM, or seen by its NULs) and GB18030 are read; a few damaged characters are
replaced and warned about; anything else is refused with the line where it went wrong.
"""

import codecs
import re

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.parsing.findings import Findings

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: First bytes of what people drop into the folder by mistake.
_SIGNATURES = (
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP 或 Office 文档"),
    (b"\xd0\xcf\x11\xe0", "旧版 Office 文档"),
    (b"\x89PNG", "PNG 图片"),
    (b"\xff\xd8\xff", "JPEG 图片"),
    (b"GIF8", "GIF 图片"),
    (b"Rar!", "RAR 压缩包"),
    (b"7z\xbc\xaf", "7z 压缩包"),
    (b"\x1f\x8b", "gzip 压缩包"),
    (b"{\\rtf", "RTF 文档"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))
#: Characters that break a line elsewhere but not in Markdown; as blanks they keep our line numbers the editor's.
_OTHER_BREAKS = dict.fromkeys(map(ord, "\x0b\x0c\x85\u2028\u2029"), " ")
_PLAUSIBLE = re.compile(r"[\t\n\r -~\u2010-\u2027\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
#: A longer look tells no more about the encoding.
_SAMPLE = 20_000
#: Beyond this share of control characters it is no text.
_MAX_CONTROL_SHARE = 0.02
_MAX_DAMAGED_SHARE = 0.01
#: An issue has some thousand lines. So many hostile ones take 4 s and 150 MB to parse; more are no issue.
MAX_LINES = 100_000
_LINE_END = re.compile(r"\r\n|\r|\n")


def decode(data: bytes, findings: Findings, *, max_bytes: int) -> list[str]:
    """The lines of an issue file.

    Raises:
        IssueError: `issue.too_large`, `issue.too_many_lines`, `issue.empty`, `issue.binary`, `issue.encoding`.
    """
    if len(data) > max_bytes:
        limit = f"{max_bytes / (1024 * 1024):.4g} MB" if max_bytes >= 1024 * 1024 else f"{max_bytes} 字节"
        line = _line_at(data, max_bytes)
        raise IssueError(
            f"期刊文件超过上限 {limit}（文件 {len(data) / (1024 * 1024):.1f} MB，第 {line} 行处超出）",
            code="issue.too_large",
            line=line,
            hint="请拆分文件，或调高设置 issues.max_bytes。",
        )
    if not data.strip(b"\x00 \t\r\n"):
        raise IssueError("期刊文件是空的", code="issue.empty", hint="文件可能还没有写完，请重新导出。")
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            raise _binary(f"这是一个{kind}文件，不是文本", 1)
    text = _clean(_to_text(data, findings), findings)
    if not text.strip():
        raise IssueError("期刊文件里没有文字", code="issue.empty", hint="文件可能还没有写完，请重新导出。")
    lines = _LINE_END.split(text, maxsplit=MAX_LINES)
    if len(lines) > MAX_LINES:
        raise IssueError(
            f"期刊文件的行数超过上限 {MAX_LINES}",
            code="issue.too_many_lines",
            line=MAX_LINES + 1,
            hint="请检查文件是否完整、是否真的是一期刊物。",
        )
    return lines


def _to_text(data: bytes, findings: Findings) -> str:
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _with_damage(data[len(bom) :], encoding, findings)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _not_quite_utf8(data, findings)
    if data.count(0) * 5 > len(data):  # every other byte of Latin text in UTF-16 is NUL
        return _utf16_by_its_nuls(data) or text
    return text


def _not_quite_utf8(data: bytes, findings: Findings) -> str:
    if wide := _utf16_by_its_nuls(data):
        return wide
    lenient = data.decode("utf-8", errors="replace")
    damaged = lenient.count("\ufffd")
    # GB18030 pairs can look like two-byte UTF-8 (业 is ҵ): only what Chinese text is made of speaks for UTF-8.
    sound = sum(1 for character in _PLAUSIBLE.findall(lenient[:_SAMPLE]) if character > "\x7f")
    if sound >= damaged:
        return _with_damage(data, "utf-8", findings)
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return _with_damage(data, "gb18030", findings)
    if _plausible(text):
        return text
    raise _unknown_encoding(data, 0)


def _utf16_by_its_nuls(data: bytes) -> str | None:
    """UTF-16 without a BOM: most NULs, those of its line ends and Latin letters, stand on one side."""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    if even + odd < 2 or len(data) % 2:
        return None
    try:
        text = data.decode("utf-16-le" if odd >= even else "utf-16-be")
    except UnicodeDecodeError:
        return None
    return text if _plausible(text) else None


def _with_damage(data: bytes, encoding: str, findings: Findings) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        start = error.start
    text = data.decode(encoding, errors="replace")
    damaged = text.count("\ufffd")
    if damaged > max(2, len(text) * _MAX_DAMAGED_SHARE) or not _plausible(text):
        raise _unknown_encoding(data, start)
    line = _line_at(data, start)
    findings.warn(line, "encoding.damaged", f"有 {damaged} 个字符无法解码，已以 � 代替。")
    return text


def _plausible(text: str) -> bool:
    sample = text[:_SAMPLE]
    return len(_PLAUSIBLE.findall(sample)) >= 0.7 * len(sample)


def _clean(text: str, findings: Findings) -> str:
    controls = _CONTROL.findall(text)
    if controls:
        first = _CONTROL.search(text)
        line = len(_LINE_END.findall(text, 0, first.start() if first else 0)) + 1
        if len(controls) > max(8, len(text) * _MAX_CONTROL_SHARE):
            raise _binary("文件里有大量控制字符，不是文本", line)
        findings.warn(line, "text.control_characters", f"去掉了 {len(controls)} 个控制字符。")
    return without_controls(text)


def without_controls(text: str) -> str:
    """The text without characters that nobody sees or prints."""
    return _CONTROL.sub("", text).translate(_INVISIBLE | _OTHER_BREAKS)


def _binary(message: str, line: int) -> IssueError:
    return IssueError(
        message, code="issue.binary", line=line, hint="请提供 Markdown 文本（UTF-8 或 GB18030）。"
    )


def _unknown_encoding(data: bytes, start: int) -> IssueError:
    line = _line_at(data, start)
    return IssueError(
        f"认不出文件的编码，第 {line} 行起无法解码",
        code="issue.encoding",
        line=line,
        hint="请另存为 UTF-8 文本。",
    )


def _line_at(data: bytes, position: int) -> int:
    ends = data.count(b"\n", 0, position)
    return (ends or data.count(b"\r", 0, position)) + 1

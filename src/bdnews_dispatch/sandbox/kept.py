"""What the sandbox has taken: mails as .eml, cards as JSON, in a folder, over restarts.

In: a mail as it came over SMTP, a card as the platform would show it. Out: `KeptMail`, `KeptCard`. Called by
relay.py, wechat_platform.py and pages.py. A sidecar is written after its mail, so what a crash leaves half is
never seen.
"""

import contextlib
import email.policy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail.

    Attributes:
        id: counts up, over restarts.
        at: when it was taken.
        sender: of the envelope.
        recipients: of the envelope.
        subject: decoded.
        size: octets.
        file: the .eml.
    """

    id: int
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int
    file: Path

    @property
    def content(self) -> bytes:
        """The message as it came; read from the file each time."""
        return self.file.read_bytes()


@dataclass(frozen=True, slots=True)
class KeptCard:
    """One WeChat message.

    Attributes:
        id: counts up, over restarts.
        at: when it was taken.
        openid: to whom.
        mode: `custom`, `template`, `subscribe` or `mass`.
        title: of the article, or of the template.
        description: of the article; a text message's text.
        url: where it leads.
        picture_url: of the article.
        fields: of the template: the label → the value.
        data: of the template: the field → the value.
        msgid: the platform's id.
        client_msg_id: what the sender gave.
    """

    id: int
    at: datetime
    openid: str
    mode: str
    title: str
    description: str
    url: str
    picture_url: str
    fields: Mapping[str, str]
    data: Mapping[str, str]
    msgid: int
    client_msg_id: str

    @property
    def headline(self) -> str:
        """What a list shows of it."""
        return next(iter(self.fields.values()), "") or self.title or self.description


class MailBox:
    """The mails, oldest first: an index in memory, the messages in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mails: dict[int, KeptMail] = {}
        self._last = 0

    def load(self) -> None:
        """Read the sidecars that are there; a broken one is passed over. Blocks: call it in a thread."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for sidecar in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
                row = json.loads(sidecar.read_text(encoding="utf-8"))
                mail = KeptMail(
                    id=int(sidecar.stem),
                    at=datetime.fromisoformat(row["at"]),
                    sender=row["sender"],
                    recipients=tuple(row["recipients"]),
                    subject=row["subject"],
                    size=row["size"],
                    file=sidecar.with_suffix(".eml"),
                )
                self._mails[mail.id] = mail
        self._last = max(self._mails, default=0)

    def keep(self, sender: str, recipients: tuple[str, ...], content: bytes, at: datetime) -> KeptMail:
        """Write one down."""
        self._last += 1
        file = self._folder / f"{self._last:08d}.eml"
        mail = KeptMail(self._last, at, sender, recipients, _subject(content), len(content), file)
        file.write_bytes(content)
        row = {
            "at": at.isoformat(),
            "sender": sender,
            "recipients": recipients,
            "subject": mail.subject,
            "size": mail.size,
        }
        file.with_suffix(".json").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
        self._mails[mail.id] = mail
        return mail

    def all(self) -> list[KeptMail]:
        """Every mail, oldest first."""
        while self._mails and not (oldest := next(iter(self._mails.values()))).file.exists():
            del self._mails[oldest.id]  # retention, in this process or another
        return list(self._mails.values())

    def get(self, number: int) -> KeptMail | None:
        """One mail by its id."""
        mail = self._mails.get(number)
        return mail if mail is not None and mail.file.exists() else None

    def clear(self) -> None:
        """Throw all away; ids go on counting."""
        for mail in self._mails.values():
            mail.file.with_suffix(".json").unlink(missing_ok=True)
            mail.file.unlink(missing_ok=True)
        self._mails.clear()


class CardBox:
    """The cards, oldest first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cards: dict[int, KeptCard] = {}
        self._last = 0

    def load(self) -> None:
        """Read the cards that are there. Blocks: call it in a thread."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(self._folder.glob("[0-9]*.json")):
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
                row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                row["at"] = datetime.fromisoformat(row["at"])
                self._cards[int(file.stem)] = KeptCard(**row)
        self._last = max(self._cards, default=0)

    def keep(self, at: datetime, **values: Any) -> KeptCard:
        """Write one down; `values` are the fields of `KeptCard` besides id and at."""
        self._last += 1
        card = KeptCard(id=self._last, at=at, **values)
        row = {**asdict(card), "at": at.isoformat()}
        self._file(card.id).write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
        self._cards[card.id] = card
        return card

    def all(self) -> list[KeptCard]:
        """Every card, oldest first."""
        while self._cards and not self._file(oldest := next(iter(self._cards))).exists():
            del self._cards[oldest]
        return list(self._cards.values())

    def get(self, number: int) -> KeptCard | None:
        """One card by its id."""
        return self._cards.get(number)

    def clear(self) -> None:
        """Throw all away; ids go on counting."""
        for card in self._cards.values():
            self._file(card.id).unlink(missing_ok=True)
        self._cards.clear()

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:08d}.json"


def kept_before(folder: Path, before: datetime) -> list[Path]:
    """Files of mails and cards that were kept before a moment; a mail's sidecar comes before it. Blocks.

    Args:
        folder: the sandbox's; it need not be there.
    """
    found = []
    for file in sorted(folder.glob("*/[0-9]*.*"), key=lambda file: (file.stem, file.suffix != ".json")):
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < before.timestamp():
                found.append(file)
    return found


def throw_away(files: Sequence[Path]) -> None:
    """Delete them. Blocks."""
    for file in files:
        file.unlink(missing_ok=True)


def number_of(files: Sequence[Path]) -> int:
    """How many mails and cards these files are."""
    return sum(file.suffix == ".json" for file in files)


def _subject(content: bytes) -> str:
    try:
        message = BytesHeaderParser(policy=email.policy.default).parsebytes(content[:65_536])
        subject = str(message["Subject"] or "")
    except Exception:  # noqa: BLE001 — the parser raises what it likes on a malformed header; the mail is kept anyway
        return ""
    return subject.encode("utf-8", "replace").decode()[:300]

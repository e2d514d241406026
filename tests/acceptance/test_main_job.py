"""The main job by real processes: an issue file in, the right mail to each of 1,000 readers, and back again."""

import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.making import SETS, readers

from bdnews_dispatch.shipped import shipped

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

SAMPLE = shipped("config") / "samples" / "dsj-sample.md"
REAL = (
    Path(os.environ.get("BDNEWS_TEST_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))
    / "dsj-104-2022-11-11.md"
)
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def fetch(url: str, data: dict[str, str] | None = None, *, method: str | None = None) -> tuple[int, str, str]:
    """Status, body, Location."""
    body = urllib.parse.urlencode(data).encode() if data is not None else None
    request = urllib.request.Request(url, data=body, headers=BROWSER, method=method)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=10) as answer:
            return answer.status, answer.read().decode("utf-8", "replace"), ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace"), error.headers.get("Location", "")


def mails(machine: "Machine") -> Iterator[tuple[str, EmailMessage]]:
    for file in sorted((machine.folder / "var" / "sandbox" / "mail").glob("*.eml")):
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert isinstance(message, EmailMessage)
        yield str(message["To"].addresses[0].addr_spec), message


def text_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def folded(text: str) -> str:
    """Without the white space and marks that typesetting may add or take away."""
    return re.sub(r"[\s\u200b\u2009\u200a“”\"'‘’()（）:：,，—\-《》]", "", text)


@pytest.mark.parametrize("which", ["own", "real"])
def test_a_thousand_readers_each_get_their_sections(machine: "Machine", which: str) -> None:
    sample = SAMPLE if which == "own" else REAL
    if not sample.is_file():
        pytest.skip(f"the real sample is not on this machine ({sample})")
    parsed = machine.json("issues", "parse", str(sample))
    titles = {s["key"]: [a["title"] for a in s["articles"]] for s in parsed["sections"]}
    assert len(titles) == 5

    csv = machine.folder / "readers.csv"
    csv.write_bytes(readers(1000))
    report = machine.json("subscribers", "import", str(csv), "--basis", "会场登记", "--list", "全体")
    assert (report["rows"], report["added"], report["errors"]) == (1000, 1000, [])
    taken = machine.json("issues", "ingest", str(sample), "--publish")
    assert (taken["intake"], taken["state"]) == ("new", "published")
    serving = machine.start("serve")
    started = machine.json("dispatch", "start", "--issue", str(parsed["total_number"]))
    done = machine.json("dispatch", "wait", str(started["id"]), "--timeout", "110")
    assert done["state"] == "finished"
    assert done["counts"]["sent"] == 1000

    seen: dict[str, EmailMessage] = {}
    for address, message in mails(machine):
        assert address not in seen, "nothing twice"
        seen[address] = message
        chosen = set(SETS[int(re.findall(r"\d+", address)[0]) % 31])
        text = text_of(message, "plain")
        html = text_of(message, "html")
        for key, names in titles.items():
            for name in names:
                assert (folded(name) in folded(text)) == (key in chosen), (address, name)
                plain_html = folded(re.sub(r"<[^>]+>", "", html))
                assert (folded(name) in plain_html) == (key in chosen), (address, name)
        assert not message.defects
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert re.fullmatch(r"<mailto:[^>]+>,\s*<https?://[^>]+>", str(message["List-Unsubscribe"]))
        assert message["Message-ID"]
        assert message["List-Id"]
        assert message["Auto-Submitted"] == "auto-generated"
        assert len(message.as_bytes()) < 140_000
    assert len(seen) == 1000
    assert len({message["Message-ID"] for message in seen.values()}) == 1000

    _every_link_works(machine, seen["reader30@readers.example"], parsed["total_number"])
    _comes_back(machine, seen["reader30@readers.example"], done["id"])
    assert machine.stop(serving) == 0


def _every_link_works(machine: "Machine", message: EmailMessage, total: int) -> None:
    html, text = text_of(message, "html"), text_of(message, "plain")
    links = set(re.findall(rf"{re.escape(machine.base_url)}[^\s\"<>&]*", html + text))
    assert len(links) > 10
    for link in links:
        status, body, location = fetch(link)
        if "/c/" in link:
            assert status == 302
            assert location.startswith("http")
            if location.startswith(machine.base_url):
                assert fetch(location)[0] == 200
        else:
            assert status == 200, link
            assert body
    assert fetch(f"{machine.base_url}/issues/dsj/{total}")[0] == 200


def _comes_back(machine: "Machine", message: EmailMessage, dispatch_id: int) -> None:
    before = machine.json("dispatch", "show", str(dispatch_id))["tracking"]
    assert before["clicked"] >= 1
    one_click = re.findall(r"<(https?://[^>]+)>", str(message["List-Unsubscribe"]))[0]
    for _ in range(2):  # scanners follow every link
        assert fetch(one_click)[0] == 200
        assert fetch(one_click, method="HEAD")[0] in {200, 405}
    assert machine.json("dispatch", "show", str(dispatch_id))["tracking"]["unsubscribed"] == 0
    for _ in range(2):
        assert fetch(one_click, {"List-Unsubscribe": "One-Click"})[0] == 200
    assert machine.json("dispatch", "show", str(dispatch_id))["tracking"]["unsubscribed"] == 1
    still = machine.json("subscribers", "list", "--limit", "2000")
    assert len(still) == 999
    assert "reader30@readers.example" not in {person["email"] for person in still}


def test_the_folder_is_watched_and_the_issue_goes_out(machine: "Machine") -> None:
    csv = machine.folder / "readers.csv"
    csv.write_bytes(readers(3))
    machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
    machine.start("serve")
    (machine.folder / "issues" / "new.md").write_bytes(SAMPLE.read_bytes())
    (machine.folder / "issues" / "bad.md").write_bytes(b"\0\1\2" * 1000)
    deadline = time.monotonic() + 30
    while len(list(mails(machine))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (machine.folder / "issues" / "accepted" / "new.md").exists()
    assert (machine.folder / "issues" / "rejected" / "bad.md.report.json").exists()


def test_wait_sends_by_itself_where_nobody_works(machine: "Machine") -> None:
    csv = machine.folder / "readers.csv"
    csv.write_bytes(readers(5))
    machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
    machine.run("issues", "ingest", str(SAMPLE), "--publish")
    started = machine.json("dispatch", "start", "--issue", "112")
    assert machine.json("dispatch", "wait", str(started["id"]))["counts"]["sent"] == 5
    assert len(list(mails(machine))) == 5


def test_a_bulletin_goes_out_of_cycle_once(machine: "Machine") -> None:
    csv = machine.folder / "readers.csv"
    csv.write_bytes(readers(31))
    machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
    body = machine.folder / "note.md"
    body.write_text("请各位读者**注意**：[说明](https://news.example/a)。\n", encoding="utf-8")
    command = ("bulletins", "send", "--title", "系统升级通知", "--body", str(body), "--sections", "policy")
    first = machine.json(*command)
    assert machine.json(*command)["id"] == first["id"]
    done = machine.json("dispatch", "wait", str(first["id"]))
    assert done["counts"] == {**done["counts"], "sent": 16, "skipped": 15}
    for _, message in mails(machine):
        assert "系统升级通知" in str(message["Subject"])
        assert "注意" in text_of(message, "plain")

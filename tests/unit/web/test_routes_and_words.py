"""What holds of every route and every text."""

import re

from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from tests.unit.web import error_words

from bdnews_dispatch.digests.inline import runs
from bdnews_dispatch.dispatch.words import DELIVERY_STATES, DISPATCH_STATES
from bdnews_dispatch.issues.document import Block, BlockType
from bdnews_dispatch.web.access import Permission, is_loopback
from bdnews_dispatch.web.article_text import parts_of, spans
from bdnews_dispatch.web.language import po_file
from bdnews_dispatch.web.pages import ASSETS, TEMPLATES
from bdnews_dispatch.web.routes import ROUTES


def test_every_signed_route_names_a_purpose_and_a_token() -> None:
    for route in ROUTES:
        signed = route.permission is Permission.SIGNED
        assert signed == (route.purpose is not None) == ("{token}" in route.path), route


def test_addresses_of_links_lead_to_the_route_of_their_purpose() -> None:
    for route in ROUTES:
        if route.purpose is not None:
            assert route.path.startswith(f"/{route.purpose}/")


def test_every_text_has_an_english_one() -> None:
    wanted: set[str] = set()
    for template in TEMPLATES.rglob("*.html"):
        options = {"trim_blocks": "true", "lstrip_blocks": "true", "encoding": "utf-8"}
        found = extract_from_file("jinja2.ext:babel_extract", template, options=options)
        wanted |= {message for _, message, _, _ in found if isinstance(message, str)}
    for module in TEMPLATES.parent.rglob("*.py"):
        found = extract_from_file("python", module, keywords={"_": None, "N_": None})
        wanted |= {message for _, message, _, _ in found if isinstance(message, str)}
    wanted |= error_words.words()
    with po_file("en").open("rb") as file:
        catalogue = read_po(file, locale="en", abort_invalid=True)
    english = {message.id: message.string for message in catalogue if message.id}
    assert {text for text in wanted if not english.get(text)} == set()
    assert set(english) - wanted == set(), "texts that no page shows any more"
    for chinese, text in english.items():
        assert re.findall(r"%\(\w+\)s", str(chinese)) == re.findall(r"%\(\w+\)s", str(text)) or sorted(
            re.findall(r"%\(\w+\)s", str(chinese))
        ) == sorted(re.findall(r"%\(\w+\)s", str(text)))


def test_states_are_called_the_same_on_pages_and_in_commands() -> None:
    page = (TEMPLATES / "progress.html").read_text("utf-8")
    for words in (DISPATCH_STATES, DELIVERY_STATES):
        for state, said in words.items():
            assert f'"{state}": _("{said}")' in page


def test_no_chinese_in_templates_outside_of_translation() -> None:
    for template in TEMPLATES.rglob("*.html"):
        text = (
            re.sub(r'_\("[^"]*"', "", template.read_text("utf-8")).replace(">中文<", "").replace('"中文"', "")
        )
        assert not re.search(r"[\u4e00-\u9fff]", text), template.name


def test_pages_ask_nobody_else_for_anything() -> None:
    css = (ASSETS / "pages.css").read_text("utf-8")
    assert "url(" not in css
    assert "@import" not in css
    for template in TEMPLATES.rglob("*.html"):
        text = template.read_text("utf-8")
        assert "style=" not in text
        assert not re.search(r'(src|href)="https?:', text), template.name
        assert not re.search(r"\son\w+=", text), template.name


def test_loopback_is_this_machine_and_nothing_that_merely_leads_here() -> None:
    for host in ("127.0.0.1", "127.0.0.1:8080", "localhost:8080", "[::1]:8080", "[::1]", "LOCALHOST"):
        assert is_loopback(host), host
    for host in ("evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "", "localhost.evil.example"):
        assert not is_loopback(host), host


def test_hostile_markdown_is_words() -> None:
    for text in (
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://tracker.example/p.gif)",
        "<img src=x onerror=alert(1)>",
    ):
        assert all(not span.href for span in spans(text)), text
    assert runs("**a**", lambda _: None)[0].strong
    assert spans("见[附件](https://a.example/x)")[1].href == "https://a.example/x"


def test_blocks_become_parts() -> None:
    blocks = (
        Block(type=BlockType.HEADING, text="一、背景", level=3, line=1),
        Block(type=BlockType.HEADING, text="（一）起点", level=5, line=2),
        Block(type=BlockType.LIST, text="- 甲\n- 乙", items=("甲", "**乙**"), line=3),
        Block(type=BlockType.TABLE, text="", rows=(("项", "数"), ("甲", "1")), line=4),
        Block(type=BlockType.IMAGE, text="图1", url="javascript:x", line=5),
        Block(type=BlockType.IMAGE, text="图2", url="https://a.example/2.png", line=6),
        Block(type=BlockType.QR_CODE, text="", line=7),
        Block(type=BlockType.CODE, text="<b>", line=8),
    )
    parts = parts_of(blocks)
    assert [part.kind for part in parts] == ["heading", "heading", "list", "table", "image", "image", "code"]
    assert [part.level for part in parts[:2]] == [2, 3]
    assert parts[2].lines[1][0].strong
    assert [part.href for part in parts[4:6]] == ["", "https://a.example/2.png"]

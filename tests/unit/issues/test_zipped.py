"""A ZIP with pictures comes in: what it shows is made fit, what it must not hold is refused, with words."""

import io
import struct
import zipfile
import zlib

import pytest
from PIL import Image
from tests.zipping import ISSUE, issue_with_picture, picture, zipped

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import Block, BlockType, referenced
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.parsing.comparing import read_source
from bdnews_dispatch.issues.parsing.detected import Detected
from bdnews_dispatch.issues.parsing.pictures import PreparedPicture, prepare
from bdnews_dispatch.issues.publications import load_publications

PUBLICATIONS = load_publications()
TEXT = ISSUE.format(total=112).encode()
MOST = 8 * 1024 * 1024


def read(data: bytes, *, most: int = MOST) -> Detected:
    return parse_detected(data, PUBLICATIONS, None, max_bytes=most)


def images(found: Detected) -> list[Block]:
    return [
        block
        for _, _, article in found.document.articles()
        for block in article.body
        if block.type is BlockType.IMAGE
    ]


def codes(found: Detected) -> list[str]:
    return [warning.code for warning in found.document.warnings if warning.code.startswith("picture.")]


def prepared(data: bytes) -> PreparedPicture:
    made = prepare(data)
    assert made is not None
    return made


def opened(made: PreparedPicture) -> Image.Image:
    return Image.open(io.BytesIO(made.content))


def test_the_pictures_of_a_zip_are_named_by_what_they_are() -> None:
    found = read(issue_with_picture())
    (block,) = images(found)
    (made,) = found.pictures.values()
    assert referenced(block.url) == made.digest
    assert block.text == "图 1 各地的数量"
    assert (made.width, made.height, made.mime) == (1200, 675, "image/png")
    assert codes(found) == []
    assert read(issue_with_picture()).document == found.document, "the same again is the same"
    assert read(issue_with_picture(picture(colour="#000000"))).document != found.document
    source = read_source(issue_with_picture(), PUBLICATIONS.named("dsj"))
    assert "".join(source.lines).startswith("# 大数据发展动态")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("chart.png", "chart.png"),
        ("./图%20一.png", "图 一.png"),
        ("<图 一.png>", "图 一.png"),
        ('a\\b.png "题"', "a/b.png"),
        ("../up/x.jpeg", "up/x.jpeg"),
    ],
)
def test_addresses_as_markdown_writes_them(address: str, name: str) -> None:
    folder = "" if not address.startswith("..") else "text/"
    found = read(
        zipped({f"{folder}t.md": TEXT.replace("图片/chart.png".encode(), address.encode()), name: picture()})
    )
    assert len(found.pictures) == 1, images(found)


def test_names_that_windows_writes_are_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("t.md", TEXT)
        placeholder = "p" * (len("图片".encode("gb18030"))) + "/chart.png"
        file.writestr(placeholder, picture())
    raw_zip = out.getvalue().replace(placeholder.encode(), "图片/chart.png".encode("gb18030"))
    assert len(read(raw_zip).pictures) == 1


def test_a_picture_that_is_missing_or_none_is_a_warning_and_the_issue_stands() -> None:
    missing = read(zipped({"t.md": TEXT}))
    assert (codes(missing), len(missing.pictures)) == (["picture.missing"], 0)
    broken = read(issue_with_picture(picture()[:200]))
    assert codes(broken) == ["picture.unreadable"]
    assert images(broken)[0].url == "图片/chart.png", "kept as it was"
    escaped = read(zipped({"t.md": TEXT.replace("图片/chart.png".encode(), b"../../etc/passwd")}))
    assert codes(escaped) == ["picture.missing"]
    web = read(zipped({"t.md": TEXT.replace("图片/chart.png".encode(), b"https://a.example/x.png")}))
    assert (codes(web), images(web)[0].url) == ([], "https://a.example/x.png")


def encrypted() -> bytes:
    data = bytearray(zipped({"t.md": TEXT}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (zipped({}), "没有"),
        (zipped({"a.png": b""}), "没有"),
        (zipped({"a.md": TEXT, "b.md": TEXT}), "2 个（a.md、b.md）"),
        (zipped({"a.md": TEXT})[:-30], "已损坏"),
        (encrypted(), "密码"),
        (zipped({"t.md": b"\n" * (MOST + 1)}), "过大"),
        (zipped({"t.md": TEXT, "图片/chart.png": bytes(17 * 1024 * 1024)}), "过大"),
        (zipped({"t.md": TEXT, **{f"{n}.png": b"" for n in range(501)}}), "500"),
    ],
)
def test_what_is_refused_is_told(data: bytes, says: str) -> None:
    with pytest.raises(IssueError) as caught:
        read(data)
    assert caught.value.code == "issue.zip"
    assert says in caught.value.message
    assert caught.value.hint


def test_what_systems_put_beside_is_passed_over() -> None:
    litter = {"__MACOSX/._t.md": b"x", ".DS_Store": b"x", "t.md": TEXT, "图片/chart.png": picture()}
    assert len(read(zipped(litter)).pictures) == 1


def test_pictures_are_written_anew_upright_and_bare() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    exif[0x010F] = "Camera of Somebody"
    made = prepared(picture(1600, 900, kind="JPEG", exif=exif.tobytes()))
    assert (made.width, made.height, made.mime) == (900, 1600, "image/jpeg")
    assert b"Somebody" not in made.content
    red, _, blue = opened(made).convert("RGB").getpixel((made.width - 5, 5))  # type: ignore[misc]
    assert red > blue, "the corner is at the top on the right"


def test_a_large_photograph_is_scaled_as_it_is_read() -> None:
    made = prepared(picture(6000, 4000, kind="JPEG"))
    assert (made.width, made.height) == (1200, 800)
    assert prepare(picture(5001, 4000, kind="BMP")) is None


def test_transparency_stands_on_white_where_it_becomes_a_jpeg() -> None:
    image = Image.effect_noise((1500, 1500), 90).convert("RGB").convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 400, 400))
    out = io.BytesIO()
    image.save(out, "PNG")
    made = prepared(out.getvalue())
    assert made.mime == "image/jpeg"
    assert len(made.content) < 1_000_000
    assert min(opened(made).getpixel((50, 50))) > 240  # type: ignore[arg-type]


def test_a_tall_picture_and_an_animation() -> None:
    tall = prepared(picture(300, 9000))
    assert (tall.width, tall.height) == (160, 4800)
    frames = [Image.new("P", (40, 40), number) for number in (1, 2, 3)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert getattr(opened(prepared(out.getvalue())), "n_frames", 1) == 1


def claimed(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + head
        + struct.pack(">I", zlib.crc32(head))
        + b"\0\0\0\0IEND\xaeB`\x82"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        claimed(60_000, 60_000),
        claimed(7_100, 7_100),
        claimed(10, 10),
    ],
)
def test_what_is_no_picture_or_too_large_is_not_decoded(data: bytes) -> None:
    assert prepare(data) is None

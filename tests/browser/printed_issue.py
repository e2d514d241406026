"""An issue as a PDF with a text layer: Markdown printed by a real Chromium, in one column or in two."""

import subprocess
from pathlib import Path

from markdown_it import MarkdownIt
from tests.browser.conftest import find_chromium

_PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>大数据发展动态</title><style>
{style}
</style>{body}</html>"""
#: By name: pages in one column, as a word processor prints them; the layout of a magazine, with running heads.
STYLES = {
    "one column": """
@page { size: A4; margin: 25mm 22mm; @bottom-center { content: "- " counter(page) " -"; font-size: 9pt } }
body { font: 12pt/1.7 "Noto Serif CJK SC", serif } p { text-indent: 2em; margin: 0 } li { margin: 0 }
h1 { font-size: 20pt } h2 { font-size: 16pt } h3 { font-size: 14pt }""",
    "two columns": """
@page { size: A4; margin: 20mm 15mm;
  @top-left { content: "大数据发展动态"; font-size: 8pt } @top-right { content: "决策参考"; font-size: 8pt }
  @bottom-right { content: "第 " counter(page) " 页"; font-size: 8pt } }
body { font: 10.5pt/1.5 "Noto Sans CJK SC", sans-serif; columns: 2; column-gap: 10mm; text-align: justify }
p { margin: 0 0 6pt } h1 { font-size: 17pt } h2 { font-size: 14pt } h3 { font-size: 12.5pt }""",
}


def printed(markdown: str, style: str, folder: Path) -> bytes:
    """The PDF. Args: style: one of STYLES."""
    chromium = find_chromium()
    assert chromium is not None
    page, pdf = folder / "issue.html", folder / "issue.pdf"
    body = MarkdownIt("commonmark").enable("table").render(markdown)
    page.write_text(_PAGE.format(style=STYLES[style], body=body), encoding="utf-8")
    arguments = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--print-to-pdf={pdf}",
    )
    subprocess.run([chromium, *arguments, page.as_uri()], check=True, capture_output=True, timeout=60)
    return pdf.read_bytes()

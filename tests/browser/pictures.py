"""Pictures of every page: `.venv/bin/python -m tests.browser.pictures OUTDIR [--width …] [--scheme …] [--language …]`.

In: a folder. Out: a PNG of each page in it; on the terminal a JSON list of what each answered, what its console said
and whether it is wider than the window. The demo runs meanwhile, and ends with it.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright
from tests.browser.walking import ARGUMENTS, Place, Walked, find_chromium, walked, with_language

#: A page of a year's dispatches is longer than anybody looks at.
_HIGHEST = 5_000
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def look(page: Page, demo: Walked, place: Place, language: str) -> dict[str, Any]:
    """Go there. Returns: what is to be told of it."""
    said: list[str] = []

    def hear(message: Any) -> None:
        if message.type in {"error", "warning"} and "404 (Not Found)" not in message.text:
            said.append(message.text)

    def fail(error: Any) -> None:
        said.append(str(error))

    page.on("console", hear)
    page.on("pageerror", fail)
    address = place.path if place.path.startswith("http") else demo.base + place.path
    answer = await page.goto(with_language(address, language))
    page.remove_listener("console", hear)
    page.remove_listener("pageerror", fail)
    return {
        "name": place.name,
        "path": place.path,
        "status": answer.status if answer is not None else 0,
        "errors": said,
        "overflow": max(0, int(await page.evaluate(OVERFLOW))),
    }


async def _all(options: argparse.Namespace, out: Path) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with walked(Path(folder)) as demo, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
            signed_in, guest = await browser.new_context(), await browser.new_context()
            await demo.sign_in(signed_in)
            inside, outside = await signed_in.new_page(), await guest.new_page()
            places = [one for one in await demo.places(inside) if re.search(options.only, one.name)]
            for language in options.language:
                for scheme in options.scheme:
                    for width in options.width:
                        for page in (inside, outside):
                            await page.set_viewport_size(
                                {"width": width, "height": 900 if width > 500 else 667}
                            )
                            await page.emulate_media(color_scheme=scheme)
                        for place in places:
                            page = inside if place.inside else outside
                            one = await look(page, demo, place, language)
                            file = out / f"{place.name}.{width}.{scheme}.{language}.png"
                            await _picture(page, file, width)
                            told.append(
                                {
                                    **one,
                                    "width": width,
                                    "scheme": scheme,
                                    "language": language,
                                    "file": file.name,
                                }
                            )
            nothing = {"path": "", "status": 0, "errors": ["no page of it was found"]}
            told += [{"name": template, **nothing} for template in demo.left_out]
            await browser.close()
    return told


async def _picture(page: Page, file: Path, width: int) -> None:
    height = min(_HIGHEST, int(await page.evaluate("document.documentElement.scrollHeight")))
    clip = {"x": 0, "y": 0, "width": width, "height": height}
    await page.screenshot(path=file, full_page=True, clip=clip)  # type: ignore[arg-type]  # a TypedDict of floats


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--width", type=int, nargs="+", default=[375, 1280, 2560])
    parser.add_argument("--scheme", nargs="+", default=["light", "dark"], choices=["light", "dark"])
    parser.add_argument("--language", nargs="+", default=["zh"], choices=["zh", "en"])
    parser.add_argument("--only", default="", help="pattern of pages' names")
    options = parser.parse_args()
    if find_chromium() is None:
        sys.stderr.write("No Chromium was found: apt-get install chromium fonts-noto-cjk\n")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    told = asyncio.run(_all(options, options.out))
    sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    return 1 if any(one["errors"] or one.get("overflow") for one in told) else 0


if __name__ == "__main__":
    sys.exit(main())

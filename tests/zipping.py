"""ZIPs of an issue with pictures, as an editor packs them: made here, nothing is stored."""

import io
import zipfile
from collections.abc import Mapping

from PIL import Image

ISSUE = """# 大数据发展动态
第7期 总第{total}期 2026年11月20日

# 国策要论

## 数据要素怎样流通
第一句话讲了背景。第二句话讲了做法。

![图 1 各地的数量](图片/chart.png)

第三句话讲了结果。

来源：样刊编辑部
"""


def picture(
    width: int = 1600, height: int = 900, *, kind: str = "PNG", colour: str = "#12427a", exif: bytes = b""
) -> bytes:
    """A plain picture."""
    out = io.BytesIO()
    image = Image.new("RGB", (width, height), colour)
    image.paste("#b3261e", (0, 0, width // 4, height // 4))  # the corner says which way is up
    image.save(out, kind, **({"exif": exif} if exif else {}))
    return out.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Pack them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return out.getvalue()


def issue_with_picture(data: bytes | None = None, *, total: int = 112) -> bytes:
    """One issue, one article, one picture beside it."""
    text = ISSUE.format(total=total).encode()
    return zipped({"第7期/issue.md": text, "第7期/图片/chart.png": picture() if data is None else data})

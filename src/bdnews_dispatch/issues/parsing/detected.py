"""A file that may belong to any publication. Callers: issues/ (the folder), cli/, web/api/: every
way in.
"""

from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.parsing.detection import detect_publication
from bdnews_dispatch.issues.parsing.issue import parse_issue
from bdnews_dispatch.issues.parsing.pdf import is_pdf, read_pdf
from bdnews_dispatch.issues.parsing.structured import is_json, read_json
from bdnews_dispatch.issues.publications import Publications


def parse_detected(
    data: bytes, publications: Publications, key: str | None, *, max_bytes: int
) -> IssueDocument:
    """Parse it as its publication's; the words of a PDF as if they were Markdown; what is JSON is read.

    Args:
        key: of the publication; None: what the file's own words say, else the default one.

    Raises:
        IssueError: it can't be read.
        NotFoundError: there is no such publication.
    """
    if is_json(data):
        return read_json(data, publications, key, max_bytes=max_bytes)
    if is_pdf(data) and len(data) <= max_bytes:
        data = read_pdf(data)
    if key is None and len(data) <= max_bytes:
        publication = detect_publication(data, publications) or publications.named(None)
    else:
        publication = publications.named(key)
    return parse_issue(data, publication, max_bytes=max_bytes)

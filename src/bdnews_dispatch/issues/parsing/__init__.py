"""Issue files parsed: recognised pages with a contents page, Markdown with sections and numbered items, PDF, JSON.

In: bytes and a `Publication`, whose [layout] says how its pages look. Out: `IssueDocument` or IssueError.
Callers: issues/, cli/. The way through: decoding → units → cover, contents → boundaries → articles (or items) → bodies.
"""

from bdnews_dispatch.issues.parsing.detected import parse_detected
from bdnews_dispatch.issues.parsing.detection import detect_publication
from bdnews_dispatch.issues.parsing.issue import parse_issue
from bdnews_dispatch.issues.parsing.structured import issue_schema

__all__ = ["detect_publication", "issue_schema", "parse_detected", "parse_issue"]

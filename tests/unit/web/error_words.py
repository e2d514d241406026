"""The words of errors that a page may show, read out of the source. Callers: test_routes_and_words, test_error_words.

In: the modules. Out: what is said by the constructors of errors and of readiness' checks, every phrase, the words for
codes, what the operations of the API do. Left out is what is said at the start of a process, by a command, of a file
that can't be read, or in a row that is kept as a text: pages show it in Chinese, marked as such.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bdnews_dispatch
from bdnews_dispatch.web.api.endpoints import ENDPOINTS

SOURCE = Path(bdnews_dispatch.__file__).parent
LEFT_OUT = (
    "cli/",
    "sandbox/",
    "service/",
    "parts.py",
    "settings.py",
    "links.py",
    "telemetry/",
    "scheduling/",
    "db/engine.py",
    "db/moving.py",
    "reports/tables.py",
    "returns/",
    "tracking/machines.py",
    "channels/email/limits.py",
    "channels/email/replies.py",
    "dispatch/reach.py",
    "dispatch/card_lane.py",
    "dispatch/mass/",
    "issues/parsing/",
    "issues/folder.py",
    "issues/publications.py",
    "watched_feeds/fetching.py",
    "watched_feeds/reading.py",
    "web/api/",
)
#: Words, and marks as wide as them.
_CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
#: Modules that are words for codes: all their texts.
TABLES = (
    "channels/mode_words.py",
    "channels/wechat/codes.py",
    "channels/wechat/modes.py",
    "dispatch/words.py",
    "reports/words.py",
)
#: Beside the errors: where the message stands among the arguments, or the names of the keywords.
_PLACES = {"FieldError": 2, "Check": None}
_KEYWORDS = {"message", "hint", "what_to_do"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Name and source of each module whose errors pages show."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(LEFT_OUT):
            yield name, ast.parse(path.read_text("utf-8"))


def errors() -> set[str]:
    """The names of the classes: those of errors.py, and what is made of them anywhere."""
    bases: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {_name(base) for base in node.bases}
    found, before = {"BdnewsError"}, set[str]()
    while found != before:
        before = set(found)
        found |= {name for name, of in bases.items() if of & found}
    return found


def said() -> Iterator[tuple[str, ast.expr]]:
    """Each message and hint as the code has it, and where."""
    names = errors() | {"Check"}
    for module, tree in modules():
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or (name := _name(call.func)) not in names:
                continue
            place = _PLACES.get(name, 0)
            given = [call.args[place]] if place is not None and len(call.args) > place else []
            for one in [*given, *(word.value for word in call.keywords if word.arg in _KEYWORDS)]:
                yield f"{module}:{one.lineno}", one


def words() -> set[str]:
    """All texts."""
    found = {text for _, given in said() for text in _constants(given)}
    for _, tree in modules():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _name(call.func) == "Phrase" and call.args:
                found |= set(_constants(call.args[0]))
    for table in TABLES:
        found |= set(_plain_constants(ast.parse((SOURCE / table).read_text("utf-8"))))
    found |= {one.summary for one in ENDPOINTS}
    return {text for text in found if _CHINESE.search(text)}


def _plain_constants(node: ast.AST) -> Iterator[str]:
    """Texts that are no docstring, and no part of an f-string."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif not isinstance(child, ast.JoinedStr) and not (
            isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        ):
            yield from _plain_constants(child)


def _constants(given: ast.expr) -> Iterator[str]:
    match given:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _constants(one)
            yield from _constants(other)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")

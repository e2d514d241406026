"""Every action that the code writes into the audit log has words: the code is read, a new one without words fails."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.web.api.endpoints import ENDPOINTS
from bdnews_dispatch.web.console import users
from bdnews_dispatch.web.console.dispatches import steering
from bdnews_dispatch.web.console.log import Subject, changes_of, subject_of
from bdnews_dispatch.web.console.log_words import ACTIONS, FIELDS, GROUPS, WORDS, choices, same

SOURCE = Path(users.__file__).parents[2]
#: What stands in an action's braces where only a form knows it: by module, what the module takes.
FROM_FORMS = {
    "web/console/users.py": {*users._ACTS, "link"},
    "web/console/dispatches/steering.py": set(steering.ACTIONS),
    "web/console/account.py": {"confirm", "codes", "off"},
    "web/console/receivers.py": {"enable", "disable", "rotate", "replay", "remove"},
    "web/console/sources.py": {"read", "enable", "disable", "remove"},
    "web/api/handling.py": {one.name for one in ENDPOINTS if not one.reads},
}
#: Writes what others have written, again: tests/integration/demo looks at its rows.
LEFT_OUT = {"demo/filling.py"}
#: Functions that write into the log, and at which place the action stands among their arguments.
WRITERS = {"note": 2, "record": None}


@dataclass
class Module:
    name: str
    tree: ast.Module

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def actions(self) -> Iterator[str]:
        """All that it writes."""
        for function in self.functions():
            for call in _calls_in(function):
                name = (
                    call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                )
                if name not in WRITERS:
                    continue
                if (given := _argument(call, WRITERS[name])) is not None:
                    yield from self.values(given, function)

    def values(self, given: ast.expr, within: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        """What an expression may be."""
        match given:
            case ast.Constant(value=str(text)):
                yield text
            case ast.IfExp(body=one, orelse=other):
                yield from self.values(one, within)
                yield from self.values(other, within)
            case ast.JoinedStr(values=[ast.Constant(value=str(front)), ast.FormattedValue(value=inner)]):
                yield from (front + end for end in self.inner(inner, within))
            case ast.Name(id=name) if name in (names := [one.arg for one in within.args.args]):
                yield from self.handed(within.name, names.index(name))
            case ast.Name(id=name):
                yield from self.assigned(name, within)
            case _:
                pytest.fail(f"{self.name}:{given.lineno}: which action is this?")

    def inner(self, given: ast.expr, within: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        if self.name in FROM_FORMS:
            yield from FROM_FORMS[self.name]
        else:
            yield from self.values(given, within)

    def assigned(self, name: str, within: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
        for node in ast.walk(within):
            if isinstance(node, ast.Assign) and any(getattr(one, "id", "") == name for one in node.targets):
                yield from self.values(node.value, within)

    def handed(self, function: str, place: int) -> Iterator[str]:
        """What those that call a function of the module give it."""
        for caller in self.functions():
            for call in _calls_in(caller):
                if getattr(call.func, "id", "") == function:
                    yield from self.values(call.args[place], caller)


def _calls_in(function: ast.AST) -> Iterator[ast.Call]:
    """Not those of functions within it: they come by themselves."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _calls_in(node)


def _argument(call: ast.Call, place: int | None) -> ast.expr | None:
    named = next((one.value for one in call.keywords if one.arg == "action"), None)
    if named is not None or place is None or len(call.args) <= place + 1:
        return named
    return call.args[place]


def modules() -> Iterator[Module]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        text = path.read_text("utf-8")
        if name not in LEFT_OUT and ("audit" in text or "import log" in text or "desk import" in text):
            yield Module(name, ast.parse(text))


def written() -> dict[str, str]:
    return {action: module.name for module in modules() for action in module.actions()}


def test_every_action_has_words() -> None:
    found = written()
    assert {"sign_in", "sign_in.failed", "user.first", "dispatch.undo", "issue.withdrawn"} <= set(found)
    assert {"calendar.ended", "webhook.enable", "bulletin.approve", "api.lists_join"} <= set(found)
    assert len(found) > 90, "the walk has lost its way"
    assert {action: name for action, name in found.items() if action not in ACTIONS} == {}


def test_a_word_belongs_to_one_group_and_is_offered_once() -> None:
    words = [word for _, offered in choices() for word in offered.values()]
    assert len(words) == len(set(words)) == len(set(ACTIONS.values()))
    assert sum(len(group.actions) for group in GROUPS) == len(ACTIONS)
    assert same("api.lists_join") == ["list.join", "api.lists_join"]
    assert same("what.ever") == ["what.ever"]
    assert {name for name, field in FIELDS.items() if field.kind == "word"} == set(WORDS)


def test_what_a_code_names() -> None:
    assert subject_of("subscriber.tag", "subscriber:7") == Subject("subscriber", "7")
    assert subject_of("list.save", "list:会场: 一") == Subject("list", "会场: 一")
    assert subject_of("settings.test_mail", "mail:relay") == Subject("", "mail:relay")
    assert subject_of("api.subscribers_create", "subscribers/7") == Subject("subscriber", "7")
    assert subject_of("api.subscribers_add_tag", "7 专家") == Subject("subscriber", "7", "专家")
    assert subject_of("api.lists_create", "lists/%E4%BC%9A%E5%9C%BA") == Subject("list", "会场")
    assert subject_of("api.lists_join", "会场 一 7") == Subject("list", "会场 一", "7")
    assert subject_of("api.issues_publish", "dsj 112") == Subject("edition", "dsj 112")
    assert subject_of("api.issues_push", "issues/dsj/112") == Subject("edition", "dsj 112")
    assert subject_of("api.drafts_create", "drafts/3") == Subject("draft", "3")
    assert subject_of("api.deliveries_decide", "17") == Subject("delivery", "17")


def test_of_a_change_what_differs() -> None:
    def told(**change: object) -> list[tuple[str, object, object]]:
        entry = AuditEntry(at=system_clock(), actor="cli", action="user.role", change=change, hash="")
        return [(one.field.name, one.before, one.after) for one in changes_of(entry)]

    before, after = {"role": "reviewer", "publications": []}, {"role": "analyst", "publications": []}
    assert told(before=before, after=after) == [("角色", "reviewer", "analyst")]
    assert told(before="editor", after="analyst") == [("角色", "editor", "analyst")]
    assert told(before=before, after=before) == []
    assert told(mode="update", list="") == [("方式", None, "update")]
    assert told(unheard_of=1) == [("unheard_of", None, 1)]

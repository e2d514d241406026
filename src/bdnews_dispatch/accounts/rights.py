"""What can be allowed, and to which role. Pure: read by the console, by the JSON API and by tests.

A right is also the scope of an API token: a token of a user never allows more than the user's own role.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum


class Right(StrEnum):
    """One thing that somebody may be allowed to do."""

    ISSUES_READ = "issues.read"
    ISSUES_WRITE = "issues.write"
    BULLETINS_READ = "bulletins.read"
    BULLETINS_WRITE = "bulletins.write"
    #: The second person of an urgent bulletin, or of one to a whole list.
    BULLETINS_APPROVE = "bulletins.approve"
    DISPATCHES_READ = "dispatches.read"
    #: Start, pause, go on, cancel, decide what is uncertain.
    DISPATCHES_WRITE = "dispatches.write"
    REPORTS_READ = "reports.read"
    #: Names and addresses: personal data.
    SUBSCRIBERS_READ = "subscribers.read"
    #: People, lists, tags, segments.
    SUBSCRIBERS_WRITE = "subscribers.write"
    IMPORTS_WRITE = "imports.write"
    SUPPRESSIONS_READ = "suppressions.read"
    SUPPRESSIONS_WRITE = "suppressions.write"
    EVENTS_READ = "events.read"
    SETTINGS_READ = "settings.read"
    SETTINGS_WRITE = "settings.write"
    USERS_WRITE = "users.write"
    AUDIT_READ = "audit.read"


class Role(StrEnum):
    """What a user is; of one publication or of all."""

    ADMIN = "admin"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    ANALYST = "analyst"


_SEES = frozenset(
    {Right.ISSUES_READ, Right.BULLETINS_READ, Right.DISPATCHES_READ, Right.REPORTS_READ, Right.SETTINGS_READ}
)

RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.ADMIN: frozenset(Right),
    Role.EDITOR: _SEES
    | {
        Right.ISSUES_WRITE,
        Right.BULLETINS_WRITE,
        Right.DISPATCHES_WRITE,
        Right.SUBSCRIBERS_READ,
        Right.SUPPRESSIONS_READ,
        Right.EVENTS_READ,
    },
    Role.REVIEWER: _SEES | {Right.BULLETINS_APPROVE},
    Role.ANALYST: _SEES,
}


#: What somebody of some publications may hold: all of it is done to an object of one publication. The others reach
#: over all of them: a person may read several, a setting holds for every one.
OF_A_PUBLICATION = frozenset(
    {
        Right.ISSUES_READ,
        Right.ISSUES_WRITE,
        Right.BULLETINS_READ,
        Right.BULLETINS_WRITE,
        Right.BULLETINS_APPROVE,
        Right.DISPATCHES_READ,
        Right.DISPATCHES_WRITE,
        Right.REPORTS_READ,
        Right.SETTINGS_READ,
    }
)


def rights_of(role: Role, publications: Collection[str]) -> frozenset[Right]:
    """What a user may. Args: publications: those that the role is for; none: all."""
    return RIGHTS[role] & OF_A_PUBLICATION if publications else RIGHTS[role]

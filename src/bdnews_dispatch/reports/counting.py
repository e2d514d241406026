"""A dispatch counted from the ledger and the hits, by every dimension, in a few statements.

In: a dispatch's id. Out: rows of `rollup`, all of them anew. Caller: keeping.py. A person counts once in each value,
however many messages they got and however often they opened; an open is a picture fetched, a page of ours looked at, or
a click.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    SQLColumnExpression,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.db.statements import backend_of
from bdnews_dispatch.dispatch.models import Delivery, DispatchLink
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.reports.models import Dimension, Rollup
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.subscribers.models import Channel, ListMembership, MailingList, Subscriber
from bdnews_dispatch.tracking.models import Hit, HitKind

#: So many domains are shown by name; a bulletin's readers have some thousands.
MOST_DOMAINS = 100
OTHERS = "*"
#: A week: later opens count in the totals alone.
MOST_HOURS = 168

_S = DeliveryState
_TOOK = (_S.SENT, _S.DELIVERED, _S.BOUNCED, _S.COMPLAINED)
_GOT = (_S.SENT, _S.DELIVERED, _S.COMPLAINED)
_STATES = {
    "skipped": (_S.SKIPPED,),
    "cancelled": (_S.CANCELLED,),
    "failed": (_S.FAILED,),
    "uncertain": (_S.UNCERTAIN,),
    "sent": _TOOK,
    "delivered": _GOT,
    "bounced": (_S.BOUNCED,),
    "complained": (_S.COMPLAINED,),
}
_OPENS = (HitKind.OPEN, HitKind.PAGE_VIEW, HitKind.CLICK)
_DELIVERIES = ("planned", *_STATES)
_PEOPLE = ("people", "untracked", "opened", "clicked", "unsubscribed", "machine_opened", "machine_clicked")
#: Columns of a cell that are no figures.
_WORDS = {"dimension", "value"}
FIGURES = (*_DELIVERIES, *_PEOPLE)


async def count_dispatch(session: AsyncSession, dispatch_id: int) -> list[dict[str, Any]]:
    """Count it. Returns: rows of `Rollup`, none of them written."""
    cells = await _Counter(session, dispatch_id).everything()
    return [
        {
            "dispatch_id": dispatch_id,
            "dimension": dimension,
            **dict.fromkeys(FIGURES, 0),
            **cell,
            "value": str(cell["value"])[:200],
        }
        for dimension, found in cells.items()
        for cell in found
    ]


class _Counter:
    """The statements of one dispatch."""

    def __init__(self, session: AsyncSession, dispatch_id: int) -> None:
        self._session = session
        self._dispatch_id = dispatch_id
        self._backend = backend_of(session)
        self.base = self._base()

    def _base(self) -> CTE:
        """A row for each delivery, with what was done with it."""
        person, opens = col(Hit.machine) == "", col(Hit.kind).in_(_OPENS)
        hits = (
            select(
                col(Hit.delivery_id).label("delivery_id"),
                _any(and_(person, opens)).label("opened"),
                _any(and_(person, col(Hit.kind) == HitKind.CLICK)).label("clicked"),
                _any(col(Hit.kind) == HitKind.UNSUBSCRIBE).label("unsubscribed"),
                _any(and_(~person, opens)).label("machine_opened"),
                _any(and_(~person, col(Hit.kind) == HitKind.CLICK)).label("machine_clicked"),
            )
            .join(Delivery, col(Delivery.id) == col(Hit.delivery_id))
            .where(col(Delivery.dispatch_id) == self._dispatch_id)
            .group_by(col(Hit.delivery_id))
            .cte("hits")
        )
        # Who answers the mail's `mailto:` address leaves by a mail that came back, not by a page.
        by_mail = (
            select(col(ReturnedMail.delivery_id).label("delivery_id"))
            .join(Delivery, col(Delivery.id) == col(ReturnedMail.delivery_id))
            .where(col(Delivery.dispatch_id) == self._dispatch_id)
            .where(col(ReturnedMail.kind) == Kind.UNSUBSCRIBE)
            .distinct()
            .cte("by_mail")
        )
        found = hits.c
        got = col(Delivery.state).in_(_GOT)
        return (
            select(
                col(Delivery.id).label("id"),
                col(Delivery.subscriber_id).label("subscriber_id"),
                col(Delivery.channel).label("channel"),
                col(Delivery.state).label("state"),
                col(Delivery.reason).label("reason"),
                col(Delivery.sections).label("sections"),
                _one(got).label("got"),
                _one(and_(got, ~col(Delivery.untracked))).label("tracked"),
                func.coalesce(found.opened, 0).label("opened"),
                func.coalesce(found.clicked, 0).label("clicked"),
                _one(or_(found.unsubscribed == 1, by_mail.c.delivery_id.is_not(None))).label("unsubscribed"),
                func.coalesce(found.machine_opened, 0).label("machine_opened"),
                func.coalesce(found.machine_clicked, 0).label("machine_clicked"),
            )
            .outerjoin(hits, found.delivery_id == col(Delivery.id))
            .outerjoin(by_mail, by_mail.c.delivery_id == col(Delivery.id))
            .where(col(Delivery.dispatch_id) == self._dispatch_id)
            .cte("base")
        )

    async def everything(self) -> dict[Dimension, list[dict[str, Any]]]:
        """Cells of every dimension. One statement counts most of them, so that the hits are read once for all."""
        together: dict[Dimension, list[dict[str, Any]]] = {dimension: [] for dimension in Dimension}
        statement = union_all(
            self._by(Dimension.ALL, literal("")),
            self._by(Dimension.CHANNEL, cast(self.base.c.channel, String)),
            self._by_domain(),
            self._by_list(),
            self._by_section(),
            self._by_reason(),
        )
        for cell in await self._read(statement):
            together[Dimension(cell.pop("dimension"))].append(cell)
        clicks = {row["value"]: row for row in await self._clicks(col(DispatchLink.section))}
        nobody = {"clicked": 0, "machine_clicked": 0}
        return {
            **together,
            Dimension.DOMAIN: _largest(together[Dimension.DOMAIN]),
            # A section's clicks are those on its own articles.
            Dimension.SECTION: [
                {**cell, **clicks.get(cell["value"], nobody)} for cell in together[Dimension.SECTION]
            ],
            Dimension.ARTICLE: await self._clicks(col(Hit.link)),
            Dimension.HOUR: await self._by_hour(),
        }

    def _by(
        self,
        dimension: Dimension,
        value: SQLColumnExpression[Any],
        source: Any = None,
        *which: ColumnElement[bool],
    ) -> Select[Any]:
        """All figures by a value. Args: source: a join that has `base` in it."""
        base = self.base.c
        people = (
            select(
                value.label("value"),
                func.count().label("planned"),
                *(func.sum(_one(base.state.in_(states))).label(name) for name, states in _STATES.items()),
                func.max(base.got).label("people"),
                (func.max(base.got) - func.max(base.tracked)).label("untracked"),
                *(func.max(base[name]).label(name) for name in _PEOPLE[2:]),
            )
            .select_from(self.base if source is None else source)
            .where(*which)
            .group_by(value, base.subscriber_id)
            .subquery("people_" + dimension)
        )
        figure = people.c
        return select(
            literal(dimension.value).label("dimension"),
            figure.value,
            *(func.sum(figure[name]).label(name) for name in (*_DELIVERIES, *_PEOPLE[:-2])),
            func.sum(figure.machine_opened * (1 - figure.opened)).label("machine_opened"),
            func.sum(figure.machine_clicked * (1 - figure.clicked)).label("machine_clicked"),
        ).group_by(figure.value)

    def _by_domain(self) -> Select[Any]:
        key = col(Subscriber.email_key)
        domain = (
            func.split_part(key, "@", 2)
            if self._backend is Backend.POSTGRESQL
            else func.substr(key, func.instr(key, "@") + 1)
        )
        source = self.base.join(Subscriber, col(Subscriber.id) == self.base.c.subscriber_id)
        return self._by(
            Dimension.DOMAIN, domain, source, self.base.c.channel == Channel.EMAIL, key.is_not(None)
        )

    def _by_list(self) -> Select[Any]:
        source = self.base.join(
            ListMembership,
            and_(
                col(ListMembership.subscriber_id) == self.base.c.subscriber_id,
                col(ListMembership.left_at).is_(None),
            ),
        ).join(MailingList, col(MailingList.id) == col(ListMembership.list_id))
        return self._by(Dimension.LIST, col(MailingList.name), source)

    def _by_section(self) -> Select[Any]:
        if self._backend is Backend.POSTGRESQL:
            each = func.json_array_elements_text(self.base.c.sections).table_valued("value").lateral("each")
        else:
            each = func.json_each(self.base.c.sections).table_valued("value", name="each")
        return self._by(Dimension.SECTION, each.c.value, self.base.join(each, literal(1) == 1))

    def _by_reason(self) -> Select[Any]:
        """Deliveries alone: nobody has got anything."""
        base = self.base.c
        nothing = {"skipped": _S.SKIPPED, "cancelled": _S.CANCELLED, "failed": _S.FAILED}
        figures = {name: func.sum(_one(base.state == state)) for name, state in nothing.items()}
        return (
            select(
                literal(Dimension.REASON.value).label("dimension"),
                base.reason.label("value"),
                func.count().label("planned"),
                *(figures.get(name, literal(0)).label(name) for name in FIGURES[1:]),
            )
            .where(base.state.in_(nothing.values()))
            .group_by(base.reason)
        )

    async def _clicks(self, value: SQLColumnExpression[Any]) -> list[Any]:
        """Who clicked what."""
        person = col(Hit.machine) == ""
        people = (
            select(value.label("value"), _any(person).label("clicked"), _any(~person).label("by_machine"))
            .select_from(Hit)
            .join(Delivery, col(Delivery.id) == col(Hit.delivery_id))
            .join(
                DispatchLink,
                and_(
                    col(DispatchLink.dispatch_id) == col(Delivery.dispatch_id),
                    col(DispatchLink.number) == col(Hit.link),
                ),
            )
            .where(col(Delivery.dispatch_id) == self._dispatch_id, col(Hit.kind) == HitKind.CLICK)
            .where(value.is_not(None))
            .group_by(value, col(Delivery.subscriber_id))
            .subquery("people")
        )
        figure = people.c
        return await self._read(
            select(
                figure.value,
                func.sum(figure.clicked).label("clicked"),
                func.sum(figure.by_machine * (1 - figure.clicked)).label("machine_clicked"),
            ).group_by(figure.value)
        )

    async def _by_hour(self) -> list[Any]:
        """When each person first opened, and first clicked, in hours after the send."""
        cells: dict[int, dict[str, Any]] = {}
        for name, kinds in (("opened", _OPENS), ("clicked", (HitKind.CLICK,))):
            first = (
                select(func.min(col(Hit.seconds)).label("seconds"))
                .join(Delivery, col(Delivery.id) == col(Hit.delivery_id))
                .where(col(Delivery.dispatch_id) == self._dispatch_id)
                .where(col(Hit.machine) == "", col(Hit.kind).in_(kinds), col(Hit.seconds).is_not(None))
                .group_by(col(Delivery.subscriber_id))
                .subquery("first")
            )
            hours = first.c.seconds / 3600.0
            # SQLite has floor() only where it was built with it, and cuts where PostgreSQL rounds.
            hour = func.floor(hours) if self._backend is Backend.POSTGRESQL else cast(hours, Integer)
            statement = select(hour.label("value"), func.count().label(name)).group_by(hour)
            for row in await self._read(statement.where(first.c.seconds < MOST_HOURS * 3600.0)):
                number = max(int(row["value"]), 0)
                cell = cells.setdefault(number, {"value": f"{number:03}", "opened": 0, "clicked": 0})
                cell[name] += row[name]
        return [cells[number] for number in sorted(cells)]

    async def _read(self, statement: Select[Any] | CompoundSelect[Any]) -> list[Any]:
        rows = (await self._session.execute(statement)).mappings().all()
        return [
            {name: value if name in _WORDS else int(value or 0) for name, value in row.items()}
            for row in rows
        ]


def _largest(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The domains with most deliveries by name, all others together."""
    ordered = sorted(cells, key=lambda cell: (-cell["planned"], cell["value"]))
    kept, rest = ordered[:MOST_DOMAINS], ordered[MOST_DOMAINS:]
    if rest:
        kept.append({"value": OTHERS, **{name: sum(cell[name] for cell in rest) for name in FIGURES}})
    return kept


def _one(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _any(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.max(_one(condition))


assert set(FIGURES) <= set(Rollup.model_fields)  # noqa: S101  # one list of names

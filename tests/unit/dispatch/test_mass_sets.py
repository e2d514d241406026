"""Who gets which mass message."""

from tests.making import SETS

from bdnews_dispatch.channels.wechat.mass import MOST
from bdnews_dispatch.dispatch.mass.sets import Waiting, portions, sets_of


def waiting(number: int, *sections: str, mail: bool = False) -> Waiting:
    return Waiting(number, sections, mail)


def test_groups_are_exact() -> None:
    both = [waiting(1, "a", "b"), waiting(2, "a", "b")]
    one = [waiting(3, "a"), waiting(4, "a")]
    sets = sets_of([*both, *one])
    assert sets.groups == {("a", "b"): both, ("a",): one}
    assert sets.alone == []


def test_who_is_alone_and_has_a_mail_gets_it() -> None:
    lone = waiting(3, "a", mail=True)
    sets = sets_of([waiting(1, "a", "b"), waiting(2, "a", "b"), lone])
    assert sets.alone == [lone]


def test_who_is_alone_without_a_mail_joins_the_smallest_wider_set() -> None:
    groups = [waiting(n, *"abc") for n in (1, 2)] + [waiting(n, *"ab") for n in (3, 4)]
    lone = waiting(5, "a")
    sets = sets_of([*groups, lone])
    assert sets.groups["a", "b"][-1] == lone
    assert sets.alone == []


def test_nobody_joins_a_set_that_lacks_a_section_of_theirs() -> None:
    lone = waiting(5, "c")
    assert sets_of([waiting(1, "a", "b"), waiting(2, "a", "b"), lone]).alone == [lone]


def test_all_31_sets() -> None:
    people = [waiting(n, *SETS[n % 31]) for n in range(1000)]
    sets = sets_of(people)
    assert set(sets.groups) == set(SETS)
    assert sum(len(members) for members in sets.groups.values()) == 1000


def test_no_portion_is_too_large_or_of_one() -> None:
    for number in (2, MOST, MOST + 1, 2 * MOST + 1):
        members = [waiting(n, "a") for n in range(number)]
        cut = portions(members)
        assert [one for portion in cut for one in portion] == members
        assert all(2 <= len(portion) <= MOST for portion in cut)

"""Who gets which sections, and why not."""

import pytest
from tests.unit.digests.digest_samples import COMPANY, EMPTY, ISSUE, LOCAL, POLICY, issue

from bdnews_dispatch.digests.matching import Interest, Skip, match, variant_key


def test_a_reader_gets_the_chosen_sections_that_hold_articles() -> None:
    interest = Interest(whole=False, sections=frozenset({"local", "frontier", "unknown"}))
    assert match(interest, [ISSUE]) == frozenset({"local"})


def test_the_whole_issue_is_every_section_with_articles_whatever_was_chosen() -> None:
    assert match(Interest(whole=True, sections=frozenset({"local"})), [ISSUE]) == frozenset(
        {
            "policy",
            "local",
            "company",
        }
    )


def test_several_issues_count_together() -> None:
    issues = [issue(POLICY), issue(COMPANY, LOCAL)]
    assert match(Interest(whole=False, sections=frozenset({"policy", "company"})), issues) == frozenset(
        {
            "policy",
            "company",
        }
    )


@pytest.mark.parametrize("chosen", [frozenset(), frozenset({"frontier"})])
def test_nothing_of_interest_is_a_reason_not_an_error(chosen: frozenset[str]) -> None:
    assert match(Interest(whole=False, sections=chosen), [ISSUE]) == Skip("no_matching_section")


@pytest.mark.parametrize("whole", [True, False])
def test_an_issue_without_articles_says_so(whole: bool) -> None:
    assert match(Interest(whole=whole, sections=frozenset({"policy"})), [issue(EMPTY)]) == Skip("empty_issue")
    assert match(Interest(whole=whole, sections=frozenset({"policy"})), []) == Skip("empty_issue")


def test_a_variant_is_named_alike_whatever_the_order() -> None:
    assert variant_key(["local", "company"]) == variant_key(["company", "local"]) == "company+local"


def test_what_readers_do_not_share_makes_another_variant() -> None:
    names = {
        variant_key(["local"], language=language, track=track)
        for language in ("zh", "en")
        for track in (True, False)
    }
    assert len(names) == 4


def test_a_name_fits_its_column() -> None:
    long_name = variant_key([f"section_number_{number}" for number in range(30)], language="en", track=False)
    other = variant_key([f"section_number_{number}" for number in range(1, 31)], language="en", track=False)
    assert len(long_name) <= 64
    assert long_name != other

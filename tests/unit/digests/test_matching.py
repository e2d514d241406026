"""Who gets which sections, and why not."""

import pytest
from tests.unit.digests.digest_samples import COMPANY, EMPTY, ISSUE, LOCAL, POLICY, issue

from bdnews_dispatch.digests.matching import Interest, Skip, match


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

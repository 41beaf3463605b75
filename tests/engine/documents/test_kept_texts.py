"""Texts that were read are kept, within a bound, and for their tenant only."""

from uuid import UUID

from engine.documents.kept_texts import Texts

ONE, TWO = UUID(int=1), UUID(int=2)


def test_text_is_found_again_by_its_own_tenant_only():
    texts = Texts(most=100)
    texts.keep(ONE, "a", ("hello",))
    assert texts.find(ONE, "a") == ("hello",)
    assert texts.find(TWO, "a") is None


def test_what_was_asked_for_longest_ago_gives_way():
    texts = Texts(most=20)
    texts.keep(ONE, "a", ("a" * 8,))
    texts.keep(ONE, "b", ("b" * 8,))
    texts.find(ONE, "a")
    texts.keep(ONE, "c", ("c" * 8,))
    assert [texts.find(ONE, key) is not None for key in "abc"] == [True, False, True]


def test_text_over_the_bound_is_not_kept_and_drives_nothing_out():
    texts = Texts(most=20)
    texts.keep(ONE, "a", ("a" * 8,))
    texts.keep(ONE, "huge", ("x" * 30,))
    assert (texts.find(ONE, "huge"), texts.find(ONE, "a")) == (None, ("a" * 8,))

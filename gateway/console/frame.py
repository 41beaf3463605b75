"""What every page of a console is given besides its own subject."""

import msgspec

from engine.ceremony.view import Brand
from normalizer.errors import Finding


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why a form was not taken. `word`: key under "trouble."; `detail` and the findings are in English."""

    word: str
    detail: str = ""
    remedy: str = ""
    findings: tuple[Finding, ...] = ()

    def at(self, *places: str) -> tuple[Finding, ...]:
        """What is wrong with a field, by the beginning of its JSON pointer."""
        return tuple(one for one in self.findings if one.where.startswith(places))


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """`base`: where the session's pages begin; "" before there is one. `form_id`: of this copy of the page's forms.

    `section` is the entry of the navigation that the page belongs to. `notice`: key under "notice.". `is_live`: whether
    the page refreshes itself; None for one that has nothing to refresh. `here`: its own address with its query.
    """

    language: str
    brand: Brand
    development: bool
    base: str = ""
    csrf: str = ""
    form_id: str = ""
    section: str = ""
    here: str = ""
    may_change: bool = False
    may_add: bool = False
    return_url: str = ""
    notice: str = ""
    trouble: Trouble | None = None
    is_live: bool | None = None


PLAIN_BRAND = Brand(organisation="Countersign")

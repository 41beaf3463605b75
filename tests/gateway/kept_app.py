"""Applications that are built once and used by one world after the other: building one takes longer than most tests.

Nothing of a world stays in it: what the application was given is a seat in which each world puts its own services.
Only the limiters of the public pages live on; they count by addresses that are hashed with a world's own pepper.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Litestar
from litestar.types import ASGIApp

from config.settings import DatabaseSettings, RedisSettings, Settings
from gateway.app import create_app
from gateway.http.edge import Edge
from gateway.services import Services

_KEPT_BY_THE_EDGE = {"hub", "clock", "redis"}


class Seat(Services):
    """Services that are those of whichever world has taken the seat."""

    def __init__(self, services: Services) -> None:
        object.__setattr__(self, "sitting", services)
        object.__setattr__(self, "is_building", True)

    def __getattribute__(self, name: str) -> Any:
        sitting = object.__getattribute__(self, "sitting")
        if object.__getattribute__(self, "is_building"):
            if name in _KEPT_BY_THE_EDGE:
                return _Later(self, name)
            # Of anything else the next world's application would silently have the former world's.
            assert name in {"settings", "pepper"}, (
                f"a built application keeps {name}: say here how it changes"
            )
        return getattr(sitting, name)


class _Later:
    """What the seat has by this name at the time of a call."""

    def __init__(self, seat: Seat, name: str) -> None:
        self._seat = seat
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*args: Any, **given: Any) -> Any:
            return getattr(getattr(self._seat, self._name), method)(*args, **given)

        return call

    def register_script(self, text: str) -> Callable[..., Any]:
        def run(*args: Any, **given: Any) -> Any:
            return getattr(self._seat, self._name).register_script(text)(*args, **given)

        return run


class KeptApp:
    def __init__(self, services: Services) -> None:
        self._settings = _without_stores(services.settings)
        self._seat = Seat(services)
        self.app: ASGIApp = create_app(self._seat)
        object.__setattr__(self._seat, "is_building", False)
        self.seat(services)

    def fits(self, services: Services) -> bool:
        """Some settings are read when an application is built."""
        return self._settings == _without_stores(services.settings)

    def seat(self, services: Services) -> None:
        object.__setattr__(self._seat, "sitting", services)
        app = litestar_of(self.app)
        app.dependencies["services"].dependency = lambda: services  # the framework looks at the type itself
        app.state.services = services
        edge = next(one for one in app.middleware if isinstance(one, Edge))
        edge._keys.pepper = services.pepper


_free: list[KeptApp] = []
_MOST = 6


def take_app(services: Services) -> KeptApp:
    """An application on these services, which is nobody else's until it is given back."""
    kept = next((one for one in _free if one.fits(services)), None)
    if kept is None:
        return KeptApp(services)
    _free.remove(kept)
    kept.seat(services)
    return kept


def give_back(kept: KeptApp) -> None:
    """Must not be called after a fault: who knows in what state it is."""
    _free.append(kept)
    del _free[:-_MOST]


def litestar_of(app: ASGIApp) -> Litestar:
    """The framework's application inside ours."""
    return next(
        cell.cell_contents
        for cell in getattr(app, "__closure__", None) or ()
        if isinstance(cell.cell_contents, Litestar)
    )


def _without_stores(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, database=DatabaseSettings(), redis=RedisSettings())

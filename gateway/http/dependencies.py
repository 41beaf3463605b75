"""What a controller is given besides the request's own parts: the services, and who is calling."""

from litestar.di import NamedDependency

from gateway.services import Caller, Services

TheServices = NamedDependency[Services]
TheCaller = NamedDependency[Caller]

"""When an endpoint's circuit breaker opens, and when it counts as failing: the rules that SQL applies.

The state is in endpoint_health, so that all deliverers agree. Closed: everything goes. Open: nothing is
claimed, so no attempt is burnt. When its pause is over, exactly one delivery is let through (half open): its
success closes the breaker, its failure opens it for twice as long, up to a longest pause.
"""

from config.settings_endpoints import EndpointSettings

# In the order in which complete_deliveries reads them.
Rules = list[float]

_DAY_S = 86_400.0


def rules_of(settings: EndpointSettings) -> Rules:
    return [
        settings.breaker_failures,
        settings.breaker_failing_s,
        settings.breaker_pause_s,
        settings.breaker_longest_pause_s,
        *news_rules_of(settings),
    ]


def news_rules_of(settings: EndpointSettings) -> Rules:
    """Failures and seconds until an endpoint counts as failing, and seconds until it is switched off."""
    return [settings.failing_failures, settings.failing_s, settings.disabled_after_days * _DAY_S]

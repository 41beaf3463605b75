"""The pages of the development services: plain, without a script, and nothing from elsewhere."""

from importlib import resources

from aiohttp import web
from jinja2 import DictLoader, Environment, StrictUndefined

_FOLDER = resources.files("engine.development.templates")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; img-src data:; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'self'"
)
_templates = Environment(
    loader=DictLoader(
        {one.name: one.read_text(encoding="utf-8") for one in _FOLDER.iterdir() if one.name.endswith(".html")}
    ),
    autoescape=True,
    undefined=StrictUndefined,
)


def render_page(template: str, **values: object) -> web.Response:
    answer = web.Response(text=_templates.get_template(template).render(values), content_type="text/html")
    answer.headers["Content-Security-Policy"] = _POLICY
    return secured(answer)


def secured(answer: web.Response) -> web.Response:
    """Kept by nobody, sent on to nobody: the pages show links that open envelopes."""
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer

"""The pages for people: the agreements, and one page per participant. Forms and redirects, no JavaScript."""

import functools
from typing import Any
from urllib.parse import parse_qs

import jinja2
import msgspec
from litestar import Response, get, post

from adapters.adobe_sign.sandbox import roles
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.calls import HttpRequest
from adapters.adobe_sign.sandbox.control import ControlError, box_of, find_agreement
from adapters.adobe_sign.sandbox.lifecycle import WrongMomentError
from adapters.adobe_sign.sandbox.signers import Action, ActionName, perform
from adapters.adobe_sign.sandbox.world import Agreement

_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or "", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


def _page(name: str, status: int = 200, **values: Any) -> Response[bytes]:
    html = _templates().get_template(name).render(roles=roles, **values)
    return Response(
        html.encode(), status_code=status, media_type="text/html; charset=utf-8", headers=_SECURITY
    )


@get(["/sandbox", "/"])
async def show_list(request: HttpRequest) -> Response[bytes]:
    box = box_of(request)
    message = str(request.query_params.get("message", ""))
    agreements = sorted(box.world.agreements.values(), key=lambda each: each.created, reverse=True)
    return _page("list.html", agreements=agreements, message=message)


@get("/sandbox/sign/{agreement_id:str}/{member_id:str}")
async def show_signer(request: HttpRequest) -> Response[bytes]:
    agreement = find_agreement(request)
    return _signer_page(agreement, str(request.path_params["member_id"]), "", 200)


def _signer_page(agreement: Agreement, member_id: str, message: str, status: int) -> Response[bytes]:
    for each in agreement.participant_sets:
        for member in each.members:
            if member.id == member_id:
                return _page(
                    "signer.html",
                    status,
                    agreement=agreement,
                    participant_set=each,
                    member=member,
                    message=message,
                )
    raise ControlError(404, "there is no such participant")


@post("/sandbox/sign/{agreement_id:str}/{member_id:str}")
async def act_as_signer(request: HttpRequest) -> Response[bytes]:
    agreement = find_agreement(request)
    member_id = str(request.path_params["member_id"])
    form = await _form(request)
    problem = _perform(request, box_of(request), agreement, form | {"participant": member_id})
    if problem:
        return _signer_page(agreement, member_id, problem, 409)
    redirect = (agreement.info.get("postSignOption") or {}).get("redirectUrl", "")
    if form.get("action") == ActionName.SIGN and redirect:
        return _see_other(redirect)
    return _see_other(f"/sandbox/sign/{agreement.id}/{member_id}")


@post("/sandbox/act/{agreement_id:str}")
async def act_from_list(request: HttpRequest) -> Response[bytes]:
    agreement = find_agreement(request)
    problem = _perform(request, box_of(request), agreement, await _form(request))
    if problem:
        agreements = list(box_of(request).world.agreements.values())
        return _page("list.html", 409, agreements=agreements, message=problem)
    return _see_other(f"/sandbox#{agreement.id}")


def _perform(request: HttpRequest, box: Sandbox, agreement: Agreement, form: dict[str, str]) -> str:
    """Do what the form says; the problem in words, or nothing."""
    values = {
        key.removeprefix("field:"): value for key, value in form.items() if key.startswith("field:") and value
    }
    try:
        action = msgspec.convert(
            {
                "action": form.get("action", ""),
                "participant": form.get("participant", ""),
                "comment": form.get("comment", ""),
                "values": values,
            },
            Action,
        )
        perform(box, agreement, action, request.client.host if request.client else "127.0.0.1")
    except (msgspec.ValidationError, WrongMomentError) as error:
        return str(error)
    return ""


async def _form(request: HttpRequest) -> dict[str, str]:
    pairs = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    return {key: values[-1] for key, values in pairs.items()}


def _see_other(url: str) -> Response[bytes]:
    return Response(b"", status_code=303, headers={"Location": url})


HANDLERS = [show_list, show_signer, act_as_signer, act_from_list]

"""A tenant's appearance: what administrators may set, and what everybody sees of it."""

import io

import pytest
from PIL import Image, PngImagePlugin

from engine.ceremony.pages.assets import address_of
from engine.ceremony.view import Brand
from gateway.tenants.branding import brand_of
from tests.gateway.world import ADMIN, Tenant, World


def picture(kind: str = "PNG", size: tuple[int, int] = (1440, 400), **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "#0b6e4f").save(out, kind, **options)
    return out.getvalue()


async def test_brand_of_a_tenant_that_has_set_none_is_its_name(world: World, acme: Tenant) -> None:
    brand = await brand_of(world.services, acme.id)
    assert brand == Brand(organisation="Acme")


async def test_branding_is_seen_on_the_next_page_and_by_no_other_tenant(world: World, acme: Tenant) -> None:
    globex = await world.tenant("Globex")
    admin = await world.administrator()
    answer = await admin.put(
        f"{ADMIN}/tenants/{acme.printed}/branding",
        json={"organisation": "Acme Häuser", "colour": "#0B6E4F", "support_email": "help@acme.example"},
    )
    assert (answer.status_code, answer.json()["ink"]) == (200, "#ffffff")
    assert await brand_of(world.services, acme.id) == Brand(
        organisation="Acme Häuser", colour="#0b6e4f", ink="#ffffff", support_email="help@acme.example"
    )
    assert (await brand_of(world.services, globex.id)).organisation == "Globex"
    entries = await world.services.hub.fetch(
        "SELECT 1 FROM ledger_entries WHERE tenant_id = $1 AND event_type = 'branding_changed'", acme.id
    )
    assert len(entries) == 1


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"colour": "#ffd23f", "ink": "#ffffff"}, "/ink"),
        ({"colour": "red"}, "/colour"),
        ({"ink": "#ffffff"}, "/ink"),
        ({"colour": "#12345g"}, "/colour"),
        ({"support_email": "nobody"}, "/support_email"),
        ({"reply_to": "a@b\r\nBcc: c@d"}, "/reply_to"),
        ({"organisation": "a\nb"}, "/organisation"),
    ],
)
async def test_branding_that_cannot_be_read_or_used_is_refused_with_the_place(
    world: World, acme: Tenant, given: dict[str, str], where: str
) -> None:
    admin = await world.administrator()
    answer = await admin.put(f"{ADMIN}/tenants/{acme.printed}/branding", json=given)
    assert answer.status_code == 422
    assert [finding["where"] for finding in answer.json()["findings"]] == [where]
    assert await brand_of(world.services, acme.id) == Brand(organisation="Acme")


async def test_logo_is_encoded_anew_and_served_to_everybody(world: World, acme: Tenant) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "who made it and where")
    admin = await world.administrator()
    path = f"{ADMIN}/tenants/{acme.printed}/branding/logo"
    answer = await admin.put(path, content=picture(pnginfo=notes), headers={"content-type": "image/png"})
    assert answer.status_code == 200
    assert (answer.json()["logo_width"], answer.json()["logo_height"]) == (720, 200)
    brand = await brand_of(world.services, acme.id)
    async with world.client() as stranger:
        shown = await stranger.get(brand.logo_url)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    assert "immutable" in shown.headers["cache-control"]
    assert b"who made it" not in shown.content
    assert Image.open(io.BytesIO(shown.content)).size == (720, 200)


async def test_new_logo_has_a_new_address_and_the_old_one_is_gone(world: World, acme: Tenant) -> None:
    admin = await world.administrator()
    path = f"{ADMIN}/tenants/{acme.printed}/branding/logo"
    first = (await admin.put(path, content=picture())).json()["logo_url"]
    second = (await admin.put(path, content=picture("JPEG"))).json()["logo_url"]
    assert first != second
    async with world.client() as stranger:
        assert (await stranger.get(first)).status_code == 404
        assert (await stranger.get(second)).status_code == 200
        assert (await admin.delete(path)).status_code == 204
        assert (await stranger.get(second)).status_code == 404
    assert (await brand_of(world.services, acme.id)).logo_url == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"\x89PNG\r\n\x1a\nnothing more",
        picture("GIF"),
        picture()[:-400],
        picture(size=(20_000, 1000)),
    ],
    ids=["empty", "svg", "broken", "gif", "cut off", "too many pixels"],
)
async def test_file_that_is_no_picture_within_limits_is_no_logo(
    world: World, acme: Tenant, content: bytes
) -> None:
    admin = await world.administrator()
    answer = await admin.put(f"{ADMIN}/tenants/{acme.printed}/branding/logo", content=content)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert (await brand_of(world.services, acme.id)).logo_url == ""


async def test_tenants_own_key_may_not_change_its_branding(acme: Tenant) -> None:
    answer = await acme.client.put(f"{ADMIN}/tenants/{acme.printed}/branding", json={"organisation": "x"})
    assert answer.status_code == 403


async def test_page_files_need_no_key_and_may_be_kept(world: World) -> None:
    async with world.client() as stranger:
        style = await stranger.get(address_of("pages.css"))
        assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
        assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = await stranger.get(address_of("pages.css"), headers={"if-none-match": style.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("x/manifest.json", "x/..%2f..%2frender.py", "nothing"):
            assert (await stranger.get(f"/sign/static/{name}")).status_code == 404

"""A tenant's mails bear its logo and its colours, and answers go where it wants them."""

import io

import pytest
from PIL import Image

from engine.ceremony.pages.colours import CONTRAST, contrast, lighten_for
from engine.notify.letterhead import Letterhead
from engine.notify.texts import write_letter
from tests.engine.notify.desk import TENANT, Desk, make_code, make_request
from tests.engine.notify.post import make_settings, open_post, parts_of
from tests.engine.notify.servers import mail_server


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (360, 72), "#0b6e4f").save(out, "PNG")
    return out.getvalue()


async def brand(desk: Desk, *, logo: bytes | None = None, **given: str) -> None:
    async def once():
        yield logo

    key = (await desk.engine.blobs.put(TENANT, once())).key if logo else "nowhere"
    columns = {"colour": "#0b6e4f", "ink": "#ffffff", "reply_to": "", "logo_blob_key": key} | given
    await desk.store.hub.execute(
        f"INSERT INTO tenant_branding (tenant_id, logo_width, logo_height, {', '.join(columns)})"
        " VALUES ($1, 360, 72, $2, $3, $4, $5)",
        TENANT,
        *columns.values(),
    )


async def test_mail_of_a_tenant_with_a_logo_carries_it_inline_in_its_colours(store, tmp_path):
    logo = picture()
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        await brand(post.desk, logo=logo)
        await post.desk.put(make_request())
        await post.send()
    (message,) = server.received
    plain, related = message.iter_parts()
    assert (plain.get_content_type(), related.get_content_type()) == ("text/plain", "multipart/related")
    page, image = related.iter_parts()
    assert image.get_content() == logo
    assert image.get_content_disposition() == "inline"
    html = page.get_content()
    assert f'src="cid:{image["Content-ID"].strip("<>")}" alt="Acme Ltd" width="180" height="36"' in html
    assert 'bgcolor="#0b6e4f"' in html


async def test_mail_of_a_tenant_whose_logo_cannot_be_read_names_it_instead(store, tmp_path):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        await brand(post.desk)
        await post.desk.put(make_request())
        await post.send()
    (message,) = server.received
    _, html = parts_of(message)
    assert "<img" not in html
    assert ">Acme Ltd<" in html.replace('<bdi dir="auto">', "").replace("</bdi>", "")


@pytest.mark.parametrize(
    ("make", "wanted"), [(make_request, "Acme Ltd <answers@acme.example>"), (make_code, None)]
)
async def test_answers_go_where_the_tenant_wants_them_but_nobody_answers_a_code(
    store, tmp_path, make, wanted: str | None
):
    async with mail_server() as server:
        post = await open_post(store, tmp_path, make_settings(server.port))
        await brand(post.desk, reply_to="answers@acme.example")
        await post.desk.put(make())
        await post.send()
    (message,) = server.received
    assert message["Reply-To"] == wanted


@pytest.mark.parametrize("accent", ["#1f4fd1", "#0b6e4f", "#ffd23f", "#000000", "#ffffff"])
def test_link_in_a_mail_is_read_on_light_and_on_dark_paper(accent: str):
    ink = "#ffffff" if contrast(accent, "#ffffff") >= CONTRAST else "#1b2330"
    html = write_letter(
        make_request(), product="Countersign", abuse="", letterhead=Letterhead(colour=accent, ink=ink)
    ).html
    dark = lighten_for(accent, "#1d232e")
    assert f".link {{ color: {dark} !important; }}" in html
    assert contrast(dark, "#1d232e") >= CONTRAST
    light = html.split('class="link"')[1].split('style="color:')[1][:7]
    assert contrast(light, "#ffffff") >= CONTRAST

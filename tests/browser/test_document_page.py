"""The document's page as its reader uses it: by keys alone, with a connection that fails, in somebody's frame."""

import pytest

from tests.browser.conftest import Look, Sight
from tests.engine.pages.samples import BASE

FOCUS = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
# The middle of what has the focus is not under the bars that stick to the edges.
SEEN = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect();
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return top !== null && (one.contains(top) || top.contains(one) || one.closest('.field') === top.closest('.field'));
}"""


def state(sight: Sight) -> str:
    return "document.getElementById('save-state').dataset.state"


def test_reader_fills_in_and_signs_by_keys_alone_and_always_sees_the_focus(look: Look) -> None:
    sight = look.at("signing")
    keys = sight.page.keyboard
    sight.page.locator("#step-next").focus()
    keys.press("Enter")
    assert sight.page.evaluate(FOCUS) == "Text, required, page 1 of 3"
    assert sight.page.evaluate(SEEN)
    keys.type("Enugu")
    keys.press("Tab")
    assert "Dropdown" in sight.page.evaluate(FOCUS)
    keys.press("ArrowDown")
    keys.press("Tab")
    keys.press("Space")
    keys.press("Tab")
    keys.press("Space")
    sight.page.locator("#step-next").focus()
    keys.press("Enter")
    assert sight.page.evaluate(FOCUS) == "Initial"
    assert sight.page.evaluate(SEEN)
    keys.press("Enter")
    assert sight.page.evaluate("document.activeElement.id") == "adopt-text"
    keys.press("Escape")
    assert sight.page.evaluate(FOCUS) == "Initial"
    keys.press("Enter")
    keys.press("Enter")
    sight.until(FOCUS, "Sign")
    keys.press("Enter")
    keys.press("Enter")
    sight.until("document.activeElement.id", "finish")
    assert sight.page.evaluate(SEEN)
    sight.until(state(sight), "saved")
    stored = {one["id"]: one["value"] for one in look.stage.played.fields.values()}
    assert (stored["f1"], stored["f2"], stored["f3"], stored["f4"]) == ("Enugu", "Flat", "true", "true")
    assert [body["purpose"] for body in look.stage.played.sent("POST", f"{BASE}/signatures")] == [
        "initials",
        "signature",
    ]
    assert sight.complaints == []


def test_every_stop_of_the_tab_key_is_seen(look: Look) -> None:
    sight = look.at("signing")
    sight.page.locator("#step-next").click()
    stops = []
    for _ in range(40):
        sight.page.keyboard.press("Tab")
        if sight.page.evaluate("document.activeElement === document.body"):
            break
        stops.append((sight.page.evaluate(FOCUS)[:40], sight.page.evaluate(SEEN)))
    assert len(stops) >= 12
    assert [stop for stop, seen in stops if not seen] == []


def test_save_goes_on_until_the_server_is_back(look: Look) -> None:
    sight = look.at("signing")
    look.stage.played.answers = [503, 503]
    sight.page.get_by_role("textbox", name="Text").fill("Enugu")
    sight.until(state(sight), "waiting")
    assert "Not saved yet" in sight.page.locator("#save-state").inner_text()
    sight.until(state(sight), "saved")
    assert len(look.stage.played.sent("PUT", f"{BASE}/fields/f1")) == 3
    assert look.stage.played.fields["f1"]["value"] == "Enugu"


def test_value_that_is_refused_is_told_at_the_field_in_the_readers_language(look: Look) -> None:
    sight = look.at("signing-german")
    look.stage.played.answers = [422]
    sight.page.locator("#field-f1 input").fill("Enugu")
    sight.until("document.getElementById('step-error').textContent", "Bitte geben Sie eine Zahl ein.")
    assert sight.page.locator("#field-f1 input").get_attribute("aria-invalid") == "true"


def test_field_that_another_window_changed_stops_saving_and_offers_to_load_again(look: Look) -> None:
    sight = look.at("signing")
    look.stage.played.fields["f1"]["version"] = 7
    sight.page.get_by_role("textbox", name="Text").fill("Enugu")
    sight.until(state(sight), "changed")
    assert sight.page.get_by_role("button", name="Reload").is_visible()


def test_lost_connection_is_told_and_nothing_typed_is_lost(look: Look) -> None:
    sight = look.at("signing")
    context = sight.page.context
    context.set_offline(True)
    try:
        sight.until("document.getElementById('offline').hidden", wanted=False)
        sight.page.get_by_role("textbox", name="Text").fill("Enugu")
        sight.until(state(sight), "waiting")
        sight.shoot("signing-offline-desktop")
    finally:
        context.set_offline(False)
    sight.until(state(sight), "saved")
    assert look.stage.played.fields["f1"]["value"] == "Enugu"
    assert sight.page.locator("#offline").is_hidden()


def test_drawing_survives_the_turning_of_the_phone(look: Look) -> None:
    sight = look.at("signing", "phone")
    sight.page.locator("#field-f7 button").scroll_into_view_if_needed()
    sight.page.locator("#field-f7 button").click()
    sight.page.get_by_role("tab", name="Draw").click()
    sight.until("document.getElementById('pad').width > 400")
    box = sight.page.locator("#pad").bounding_box()
    assert box is not None
    sight.page.mouse.move(box["x"] + 30, box["y"] + 80)
    sight.page.mouse.down()
    for step in range(1, 8):
        sight.page.mouse.move(box["x"] + 30 + step * 25, box["y"] + 80 - step * 4)
    sight.page.mouse.up()
    ink = (
        "(() => { const c = document.getElementById('pad'); return c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0) })()"
    )
    assert sight.page.evaluate(ink)
    before = sight.page.evaluate("document.getElementById('pad').width")
    sight.page.set_viewport_size({"width": 844, "height": 390})
    sight.until(f"document.getElementById('pad').width !== {before}")
    assert sight.page.evaluate(ink)
    sight.shoot("adopt-draw-turned-phone")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_zoom_and_pages_work_without_a_wheel(look: Look, size: str) -> None:
    sight = look.at("signing", size)
    before = sight.page.evaluate("document.querySelector('.page').clientWidth")
    sight.page.locator("#zoom-in").click()
    assert sight.page.evaluate("document.querySelector('.page').clientWidth") > before
    if size == "phone":
        sight.page.locator("#show-thumbs").click()
    sight.page.get_by_role("link", name="Lease agreement.pdf, page 3 of 3").click()
    sight.until("document.activeElement.id", "page-1-3")
    assert sight.complaints == []


def test_text_of_the_document_is_there_for_a_screen_reader(look: Look) -> None:
    sight = look.at("signing")
    sight.until("document.querySelectorAll('#page-1-1 .textLayer span').length > 8")
    text = sight.page.locator("#page-1-1 .textLayer").inner_text()
    assert "LEASE AGREEMENT" in text
    assert "Harbour Street 12" in text


def test_reader_is_warned_before_the_session_ends_and_may_stay(look: Look) -> None:
    sight = look.at("done-waiting")
    sight.page.clock.install()
    sight.page.reload()
    sight.page.clock.fast_forward("26:00")
    dialog = sight.page.get_by_role("dialog")
    dialog.wait_for()
    sight.shoot("session-ending-desktop")
    assert "endet diese Sitzung" in dialog.inner_text()
    dialog.get_by_role("button").click()
    sight.until("document.querySelector('dialog.warning')", None)
    for _ in range(50):
        if look.stage.played.sent("POST", f"{BASE}/extend"):
            break
        sight.page.wait_for_timeout(20)
    assert len(look.stage.played.sent("POST", f"{BASE}/extend")) == 1


def test_fields_are_placed_moved_sized_and_removed_by_keys(look: Look) -> None:
    sight = look.at("prepare")
    keys = sight.page.keyboard
    sight.page.get_by_role("button", name="Date", exact=True).focus()
    keys.press("Enter")
    assert sight.page.evaluate(FOCUS) == "Date for Adaeze Okafor, page 1"
    sight.until(state(sight), "saved")
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    keys.press("Shift+ArrowRight")
    sight.until("document.getElementById('announce').textContent.includes('wide')")
    path = "/prepare/s/sample/fields"
    for _ in range(100):
        if any(method == "PUT" for method, *_ in look.stage.played.requests):
            break
        sight.page.wait_for_timeout(20)
    (added,) = look.stage.played.sent("POST", path)
    changed = [body for method, _, body in look.stage.played.requests if method == "PUT"][-1]
    assert (changed["x"] - added["x"], changed["y"] - added["y"]) == (5, 5)
    assert (changed["width"] - added["width"], changed["recipient_id"]) == (5, "r1")
    keys.press("Delete")
    sight.until("document.querySelectorAll('.placed').length", 2)
    for _ in range(100):
        if any(method == "DELETE" for method, *_ in look.stage.played.requests):
            break
        sight.page.wait_for_timeout(20)
    assert any(method == "DELETE" for method, *_ in look.stage.played.requests)
    assert sight.complaints == []


def test_field_is_dragged_onto_the_page_and_moved_by_the_pointer(look: Look) -> None:
    sight = look.at("prepare")
    sight.page.get_by_role("button", name="Text", exact=True).drag_to(
        sight.page.locator("#page-1-1"), target_position={"x": 300, "y": 400}
    )
    sight.until("document.querySelectorAll('.placed').length", 3)
    placed = sight.page.locator(".placed").last
    box = placed.bounding_box()
    assert box is not None
    sight.page.mouse.move(box["x"] + 20, box["y"] + 8)
    sight.page.mouse.down()
    sight.page.mouse.move(box["x"] + 80, box["y"] + 38, steps=4)
    sight.page.mouse.up()
    after = placed.bounding_box()
    assert after is not None
    assert (round(after["x"] - box["x"]), round(after["y"] - box["y"])) == (60, 30)
    sight.shoot("prepare-placed-desktop")


def test_embedded_page_tells_its_frames_owner_what_has_happened(look: Look) -> None:
    sight = look.at("landing")
    sight.page.goto(f"{look.stage.origin.replace('127.0.0.1', 'localhost')}/frame?to=own")
    sight.until("window.told?.length", 1)
    assert sight.page.evaluate("window.told") == [
        [look.stage.origin, {"source": "countersign", "event": "finished"}]
    ]


def test_embedded_page_tells_nothing_to_a_frame_that_is_not_its_owner(look: Look) -> None:
    sight = look.at("landing")
    sight.page.goto(f"{look.stage.origin.replace('127.0.0.1', 'localhost')}/frame?to=other")
    sight.until("window.framed", wanted=True)
    sight.page.wait_for_load_state("networkidle")
    assert sight.page.evaluate("window.told") == []

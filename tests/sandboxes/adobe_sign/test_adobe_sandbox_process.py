"""The process: start, stop, state on disk, pages."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from adobe_sandbox_kit import ROOT, Api, Receiver, Running, signer, webhook_body


def start_expecting_failure(*flags: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "adapters.adobe_sign.sandbox", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False)
    return done.returncode, done.stderr.decode()


def test_ready_line_names_the_url_and_working_credentials(running: Running) -> None:
    credentials = running.ready["credentials"]
    form = {"grant_type": "refresh_token"} | {
        key: credentials[key] for key in ("client_id", "client_secret", "refresh_token")
    }
    answer = httpx.post(f"{credentials['api_access_point']}oauth/v2/refresh", data=form)
    assert running.ready["name"] == "adobe-sign"
    assert answer.json()["token_type"] == "Bearer"


def test_killed_sandbox_keeps_agreements_documents_and_queued_webhooks_in_its_folder(
    tmp_path: Path, receiver: Receiver
) -> None:
    flags = ("--state-dir", str(tmp_path), "--processing-seconds", "0", "--webhook-allow", "127.0.0.1")
    first = Running(*flags)
    api = Api(first)
    api.options(retry_first_s=30)
    one = api.create(participantSetsInfo=[signer("ada@example.com"), signer("bob@example.com", 2)])
    assert api.call("POST", "/webhooks", webhook_body(receiver.url)).status_code == 201
    receiver.statuses = [500]
    api.act(one, "sign")
    receiver.take(1)
    api.close()
    first.stop(signal.SIGKILL)
    second = Running(*flags)
    again = httpx.Client(base_url=second.url)
    shown = again.get(f"/sandbox/agreements/{one}").json()
    done = again.post(f"/sandbox/agreements/{one}/actions", content=json.dumps({"action": "sign"})).json()
    again.close()
    messages = receiver.take_until("AGREEMENT_WORKFLOW_COMPLETED")
    assert second.stop()[0] == 0
    assert (shown["status"], done["status"]) == ("OUT_FOR_SIGNATURE", "SIGNED")
    assert messages[0]["body"]["event"] == "AGREEMENT_ACTION_COMPLETED"
    assert {path.name for path in tmp_path.iterdir()} == {"state.json", "files"}


def test_stop_with_a_held_request_and_a_failing_webhook_is_clean(receiver: Receiver) -> None:
    server = Running("--processing-seconds", "0", "--webhook-allow", "127.0.0.1")
    api = Api(server)
    assert api.call("POST", "/webhooks", webhook_body(receiver.url)).status_code == 201
    receiver.statuses = [500] * 50
    api.create()
    api.fault("timeout_after_accept", "base_uris", seconds=600)
    failures: list[Exception] = []

    def hang() -> None:
        try:
            api.call("GET", "/baseUris")
        except httpx.TransportError as error:
            failures.append(error)

    thread = threading.Thread(target=hang)
    thread.start()
    receiver.take(1)
    code, errors = server.stop()
    thread.join()
    api.close()
    assert (code, errors) == (0, "")
    assert len(failures) == 1


def test_public_address_is_refused_because_the_control_api_has_no_authentication() -> None:
    code, errors = start_expecting_failure("--host", "0.0.0.0")
    assert code == 2
    assert "loopback only" in errors


def test_taken_port_is_refused(running: Running) -> None:
    code, errors = start_expecting_failure("--port", running.url.rpartition(":")[2], "--json")
    assert code == 2
    assert "cannot be used" in errors


def test_damaged_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"agreements":')
    code, errors = start_expecting_failure("--state-dir", str(tmp_path), "--json")
    assert (code, (tmp_path / "state.json").read_text()) == (2, '{"agreements":')
    assert "state.json cannot be read" in errors


def test_without_the_allow_list_a_loopback_webhook_is_refused(receiver: Receiver) -> None:
    server = Running("--processing-seconds", "0")
    api = Api(server)
    try:
        loopback = receiver.url.replace("http:", "https:").replace("127.0.0.1:", "127.0.0.1:8443/")
        answers = [api.call("POST", "/webhooks", webhook_body(url)) for url in (receiver.url, loopback)]
    finally:
        api.close()
        server.stop()
    assert [answer.json()["code"] for answer in answers] == ["INVALID_WEBHOOK_URL"] * 2
    assert receiver.gets == []


def test_signing_url_leads_to_a_page_on_which_a_person_signs_without_javascript(api: Api) -> None:
    one = api.create(postSignOption={"redirectUrl": "https://dms.example.com/back"})
    url = api.get(f"/agreements/{one}/signingUrls")["signingUrlSetInfos"][0]["signingUrls"][0]["esignUrl"]
    page = httpx.get(url)
    viewed = httpx.post(url, data={"action": "view"})
    signed = httpx.post(url, data={"action": "sign"})
    again = httpx.post(url, data={"action": "sign"})
    assert 'value="sign"' in page.text
    assert "<script" not in page.text
    assert (viewed.status_code, httpx.get(url).status_code) == (303, 200)
    assert (signed.status_code, signed.headers["location"]) == (303, "https://dms.example.com/back")
    assert again.status_code == 409
    assert api.status(one) == "SIGNED"
    assert "DOCUMENTS_VIEWED" in api.types(one)


@pytest.mark.parametrize(
    ("action", "status"), [("decline", "CANCELLED"), ("expire", "EXPIRED"), ("sign_all", "SIGNED")]
)
def test_list_page_shows_waiting_participants_and_acts_for_them(api: Api, action: str, status: str) -> None:
    one = api.create(name="<b>Lease</b>")
    page = api.http.get("/sandbox")
    answer = api.http.post(f"/sandbox/act/{one}", data={"action": action})
    assert "&lt;b&gt;Lease&lt;/b&gt;" in page.text
    assert "ada@example.com" in page.text
    assert (answer.status_code, api.status(one)) == (303, status)


def test_values_typed_on_the_page_reach_the_form_data(api: Api) -> None:
    one = api.create(state="AUTHORING")
    path = f"/agreements/{one}"
    field = {
        "name": "city",
        "contentType": "DATA",
        "inputType": "TEXT_FIELD",
        "assignee": api.sets(one)[0]["id"],
    }
    api.put(f"{path}/formFields", {"fields": [field]}, f"{path}/formFields")
    api.put(f"{path}/state", {"state": "IN_PROCESS"}, path)
    url = api.get(f"{path}/signingUrls")["signingUrlSetInfos"][0]["signingUrls"][0]["esignUrl"]
    httpx.post(url, data={"action": "sign", "field:city": "Bern"})
    assert "Bern" in api.call("GET", f"{path}/formData").text


def test_action_that_the_state_forbids_changes_nothing_and_says_why(api: Api) -> None:
    one = api.signed()
    answer = api.act(one, "sign", expect=409)
    unknown = api.http.post(f"/sandbox/agreements/{one}/actions", content=b'{"action":"forge"}')
    assert "is waiting" in answer["error"]
    assert unknown.status_code == 400
    assert api.http.get("/sandbox/agreements/none").status_code == 404


def test_request_log_counts_calls_by_operation(api: Api) -> None:
    api.create()
    operations = [each["operation"] for each in api.sandbox("GET", "/requests")]
    assert operations.count("create_agreement") == 1

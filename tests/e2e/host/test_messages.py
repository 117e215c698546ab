"""Sending and receiving through a host."""

import asyncio

import pytest

from session_runner.hosts.host import NotSentError, RefusedError
from tests.e2e.host.harness import CLINIC, PATIENT, HostBench, eventually, jid_of

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
CHANNEL = "chn_clinic"


async def test_sends_a_text_and_sees_it_delivered_and_read(clinic: HostBench) -> None:
    """A text arrives as written; WhatsApp's receipts come back under the id that the send returned."""
    running = await clinic.connected()
    sent = await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="Olá, Ana! 😀")
    assert sent["e164"] == f"+{PATIENT}"
    assert sent["lid"].endswith("@lid")
    assert [message["text"] for message in await clinic.received(PATIENT)] == ["Olá, Ana! 😀"]
    delivered = await running.row("message.receipt", receipt="delivered")
    await clinic.phone(PATIENT, "read", **{"from": CLINIC})
    read = await running.row("message.receipt", receipt="read")
    assert delivered.data["whatsapp_ids"] == read.data["whatsapp_ids"] == [sent["whatsapp_id"]]
    assert delivered.data["chat"] == {"e164": f"+{PATIENT}", "lid": sent["lid"]}


async def test_sends_to_a_lid(clinic: HostBench) -> None:
    """The LID is an address like the number."""
    running = await clinic.connected()
    checked = await running.request("check_numbers", channel_id=CHANNEL, numbers=[f"+{PATIENT}"])
    lid = checked["results"][0]["lid"]
    sent = await running.request("send_text", channel_id=CHANNEL, to_jid=lid, text="pelo LID")
    assert (sent["e164"], sent["lid"]) == (f"+{PATIENT}", lid)


async def test_keeps_the_order_of_one_channels_sends(clinic: HostBench) -> None:
    """Texts asked for at once arrive in the order in which they were asked for."""
    running = await clinic.connected()
    texts = [f"mensagem {number}" for number in range(20)]
    await asyncio.gather(
        *(running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text=text) for text in texts)
    )
    assert [message["text"] for message in await clinic.received(PATIENT)] == texts


async def test_receives_a_text(clinic: HostBench) -> None:
    """A patient's text is one entry with both addresses of both sides."""
    running = await clinic.connected()
    whatsapp_id = await clinic.write(PATIENT, CLINIC, "Bom dia")
    row = await running.row("message.received", whatsapp_id=whatsapp_id)
    assert row.data["text"] == {"body": "Bom dia"}
    assert row.data["type"] == "text"
    assert row.data["from"] == row.data["chat"]
    assert row.data["from"]["e164"] == f"+{PATIENT}"
    assert row.data["to"]["e164"] == f"+{CLINIC}"
    assert row.data["from"]["lid"].endswith("@lid")
    assert row.data["offline"] is False
    assert row.data["push_name"] == "Ana"
    assert row.clinic_id == "cli_test"
    assert row.channel_id == CHANNEL


async def test_answers_quote_and_are_quoted(clinic: HostBench) -> None:
    """A reply names the message it answers to, in both directions."""
    running = await clinic.connected()
    question = await clinic.write(PATIENT, CLINIC, "Tem horário?")
    await running.row("message.received", whatsapp_id=question)
    sent = await running.request(
        "send_text",
        channel_id=CHANNEL,
        to_jid=jid_of(PATIENT),
        text="Sim",
        quoted={"whatsapp_id": question, "sender": jid_of(PATIENT), "text": "Tem horário?"},
    )
    assert (await clinic.received(PATIENT))[0]["reply_to"] == question
    await clinic.write(PATIENT, CLINIC, "Obrigada", reply_to=sent["whatsapp_id"])
    row = await running.row("message.received", text={"body": "Obrigada"})
    assert row.data["context"] == {"whatsapp_id": sent["whatsapp_id"]}


async def test_sees_what_the_clinic_types_on_its_own_phone(clinic: HostBench) -> None:
    """A text typed on the clinic's phone is a message sent from the phone, not one received."""
    running = await clinic.connected()
    whatsapp_id = await clinic.write(CLINIC, PATIENT, "do celular")
    row = await running.row("message.phone_sent", whatsapp_id=whatsapp_id)
    assert row.data["from"]["e164"] == f"+{CLINIC}"
    assert row.data["to"]["e164"] == row.data["chat"]["e164"] == f"+{PATIENT}"
    assert running.rows("message.received") == []


async def test_a_kind_not_mapped_yet_is_journalled_as_unsupported(clinic: HostBench) -> None:
    """A reaction is no text: it arrives as unsupported, with its kind, and is not lost."""
    running = await clinic.connected()
    sent = await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="oi")
    await clinic.phone(PATIENT, "messages", to=CLINIC, reaction={"id": sent["whatsapp_id"], "emoji": "👍"})
    row = await running.row("message.received", type="unsupported")
    assert row.data["unsupported_kind"] == "reaction"
    assert row.data["text"] is None


async def test_what_waited_on_the_server_is_marked_as_offline(clinic: HostBench) -> None:
    """A text sent while the session was stopped arrives with the next incarnation, marked as late."""
    running = await clinic.connected()
    await running.request("stop_session", channel_id=CHANNEL)
    whatsapp_id = await clinic.write(PATIENT, CLINIC, "enquanto fechado")
    await running.request("start_session", **clinic.session())
    row = await running.row("message.received", whatsapp_id=whatsapp_id)
    assert row.data["offline"] is True
    live = await clinic.write(PATIENT, CLINIC, "agora")
    assert (await running.row("message.received", whatsapp_id=live)).data["offline"] is False


async def test_marks_read_and_shows_typing(clinic: HostBench) -> None:
    """The patient sees their message read, and the clinic typing."""
    running = await clinic.connected()
    whatsapp_id = await clinic.write(PATIENT, CLINIC, "oi")
    await running.row("message.received", whatsapp_id=whatsapp_id)
    await running.request("mark_read", channel_id=CHANNEL, whatsapp_ids=[whatsapp_id], chat=jid_of(PATIENT))
    await running.request("typing", channel_id=CHANNEL, to_jid=jid_of(PATIENT), state="composing")

    def read_at() -> object:
        sent = clinic.simulator.get(f"/phones/{PATIENT}/sent")
        return next(message for message in sent if message["id"] == whatsapp_id)["read_at"]

    assert await eventually(read_at)
    assert await eventually(lambda: clinic.simulator.get(f"/phones/{PATIENT}/typing"))


async def test_checks_numbers_in_the_order_asked(clinic: HostBench) -> None:
    """Each number is answered for itself; the registered form of a number can differ from the one asked for."""
    running = await clinic.connected()
    await clinic.call("POST", "/phones", number="5531977770002", registered_as="553177770002", name="Bia")
    asked = ["+5531977770002", "+5511900000000", f"+{PATIENT}"]
    answer = await running.request("check_numbers", channel_id=CHANNEL, numbers=asked)
    assert [result["e164"] for result in answer["results"]] == asked
    assert [result["on_whatsapp"] for result in answer["results"]] == [True, False, True]
    assert answer["results"][0]["registered_e164"] == "+553177770002"
    assert answer["results"][1]["lid"] is None


async def test_a_refusal_carries_whatsapps_code(clinic: HostBench) -> None:
    """Error 463 (too many new chats) is a definite failure with its code, and later messages go out."""
    running = await clinic.connected()
    await clinic.phone(CLINIC, "send-error", code=463, count=1)
    with pytest.raises(RefusedError) as refused:
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="um")
    assert refused.value.code == "server_error"
    assert refused.value.detail == {"status": "463"}
    await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="dois")


async def test_an_unregistered_number_is_refused(clinic: HostBench) -> None:
    """A number that is not on WhatsApp is a definite failure of that message."""
    running = await clinic.connected()
    with pytest.raises(RefusedError, match="recipient_unknown"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of("5511900000000"), text="oi")
    with pytest.raises(RefusedError, match="invalid"):
        await running.request("send_text", channel_id=CHANNEL, to_jid="120363000000000000@g.us", text="oi")


async def test_what_cannot_leave_is_certainly_not_sent(clinic: HostBench) -> None:
    """Without a connection, or without a session, a message certainly never left."""
    running = await clinic.connected()
    await running.request("stop_session", channel_id=CHANNEL)
    with pytest.raises(NotSentError, match="not_connected"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="oi")
    with pytest.raises(NotSentError, match="not_running"):
        await running.request("send_text", channel_id="chn_none", to_jid=jid_of(PATIENT), text="oi")
    await running.host.stop()
    with pytest.raises(NotSentError, match="host_gone"):
        await running.request("send_text", channel_id=CHANNEL, to_jid=jid_of(PATIENT), text="oi")
    assert await clinic.received(PATIENT) == []

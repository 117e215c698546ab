"""Messages between the real client and people inside the simulator."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.e2e.whatsapp.conftest import CLINIC, PATIENT
from tests.e2e.whatsapp.harness import RealClient, RunningSimulator, eventually

pytestmark = pytest.mark.e2e

NewClient = Callable[[str], RealClient]


def test_text_goes_both_ways_with_receipts(simulator: RunningSimulator, client: RealClient) -> None:
    """A text is delivered, read and noted in the ledger; an answer and a reply with a quote come back."""
    sent = client.do("send", to=PATIENT, text="Consulta amanhã às 14h?")
    client.event("Receipt", ids=[sent], type=1)
    assert simulator.texts(PATIENT) == ["Consulta amanhã às 14h?"]
    simulator.post(f"/phones/{PATIENT}/read", **{"from": CLINIC})
    client.event("Receipt", ids=[sent], type=4)

    answer = simulator.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="Confirmo ✅", reply_to=sent)["id"]
    received = client.event("Message", id=answer)
    assert received["text"] == "Confirmo ✅"
    assert received["quoted"] == sent
    assert received["sender"] == PATIENT
    client.do("mark_read", message_id=answer, chat=received["chat"])
    eventually(lambda: simulator.get(f"/phones/{PATIENT}/sent")[0]["read_at"], "the read receipt reaches the patient")

    rows = {row["id"]: row for row in simulator.get("/ledger")}
    assert rows[sent]["direction"] == "from_client"
    assert rows[answer]["direction"] == "to_client"
    assert rows[sent]["decrypted"]
    assert all(row[mark] for row in rows.values() for mark in ("accepted_at", "delivered_at", "acknowledged_at"))


def test_reaction_and_typing_are_seen(simulator: RunningSimulator, client: RealClient) -> None:
    """A patient's reaction arrives; typing is seen on both sides."""
    sent = client.do("send", to=PATIENT, text="Olá")
    simulator.post(f"/phones/{PATIENT}/messages", to=CLINIC, reaction={"id": sent, "emoji": "👍"})
    assert client.event("Message")["text"] == "👍"
    client.do("compose", to=PATIENT)
    seen = eventually(lambda: simulator.get(f"/phones/{PATIENT}/typing"), "the patient sees typing")
    assert (seen[0]["from"], seen[0]["state"]) == (CLINIC, "composing")
    simulator.post(f"/phones/{PATIENT}/typing", to=CLINIC, state="composing")
    client.event("ChatPresence")


def test_messages_wait_for_a_client_that_is_away(
    simulator: RunningSimulator, client: RealClient, new_client: NewClient
) -> None:
    """What arrives while the client is dead is delivered once it is back, each message once."""
    first = simulator.write(PATIENT, CLINIC, "antes")
    client.event("Message", id=first)
    eventually(lambda: simulator.get("/ledger")[0]["acknowledged_at"], "the first message is acknowledged")
    client.kill()
    ids = [simulator.write(PATIENT, CLINIC, f"mensagem {number}") for number in range(3)]
    assert simulator.get("/ledger/summary")["to_client"]["delivered"] == 1
    back = new_client("clinic")
    back.event("Connected")
    assert [back.event("Message")["id"] for _ in ids] == ids
    assert back.is_quiet("Message", for_s=0.5)
    summary = eventually(
        lambda: (found := simulator.get("/ledger/summary")["to_client"])["acknowledged"] == 4 and found,
        "all four are acknowledged",
    )
    assert summary["accepted"] == summary["delivered"] == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_simulator_restart_loses_nothing(simulator: RunningSimulator, client: RealClient, number: int) -> None:
    """After a stop or a kill the client resumes without a scan, and what was queued is still delivered."""
    sent = client.do("send", to=PATIENT, text="antes")
    eventually(lambda: simulator.texts(PATIENT) == ["antes"], "the first text arrives")
    simulator.post(f"/phones/{CLINIC}/hold")
    waiting = simulator.write(PATIENT, CLINIC, "à espera")
    simulator.stop(number)
    simulator.start()
    client.event("Message", id=waiting)
    after = client.do("send", to=PATIENT, text="depois")
    eventually(lambda: simulator.texts(PATIENT) == ["antes", "depois"], "the second text arrives")
    assert {row["id"] for row in simulator.get("/ledger")} == {sent, waiting, after}


def test_patient_who_is_offline_sends_no_receipt(simulator: RunningSimulator, client: RealClient) -> None:
    """A message to a phone that is off is accepted, and delivered when it is on again."""
    simulator.post(f"/phones/{PATIENT}/offline")
    sent = client.do("send", to=PATIENT, text="está aí?")
    row = simulator.get("/ledger")[0]
    assert row["accepted_at"]
    assert row["delivered_at"] is None
    simulator.post(f"/phones/{PATIENT}/online")
    client.event("Receipt", ids=[sent], type=1)


def test_ninth_digit_in_either_form(simulator: RunningSimulator, client: RealClient) -> None:
    """A number is found with and without the ninth digit; the registered one is behind the answer."""
    simulator.post("/phones", number="5531977770002", registered_as="553177770002")
    simulator.post("/phones", number="5541977770003")
    for asked, registered in (("+5531977770002", "553177770002"), ("+554177770003", "5541977770003")):
        (answer,) = client.do("is_on_whatsapp", number=asked)
        assert answer["is_in"]
        assert client.do("number_of", lid=answer["jid"]) == registered
        client.do("send", to=answer["jid"], text="achei")
    eventually(lambda: simulator.texts("5531977770002") == ["achei"], "the first of them gets the text")
    eventually(lambda: simulator.texts("5541977770003") == ["achei"], "the second of them gets the text")
    (absent,) = client.do("is_on_whatsapp", number="+5511955550000")
    assert not absent["is_in"]


def test_number_that_left_whatsapp(simulator: RunningSimulator, client: RealClient) -> None:
    """A send to a number that is not on WhatsApp fails, and so it does after a known one left."""
    with pytest.raises(RuntimeError, match="no LID found"):
        client.do("send", to="5511955550000", text="?")
    client.do("send", to=PATIENT, text="oi")
    simulator.call("DELETE", f"/phones/{PATIENT}")
    with pytest.raises(RuntimeError, match="404"):
        client.do("send", to=PATIENT, text="ainda aí?")


def test_reinstalled_phone_is_reached_again(simulator: RunningSimulator, client: RealClient) -> None:
    """After the patient set up a new phone, both directions work; the client is told of the new identity."""
    client.do("send", to=PATIENT, text="antes")
    client.event("Message", id=simulator.write(PATIENT, CLINIC, "telefone velho"))
    simulator.post(f"/phones/{PATIENT}/reinstall")
    client.event("IdentityChange")
    client.event("Message", id=simulator.write(PATIENT, CLINIC, "telefone novo"))
    client.do("send", to=PATIENT, text="depois")
    eventually(lambda: simulator.texts(PATIENT) == ["antes", "depois"], "the text after the change arrives")


def test_typed_on_the_clinics_own_phone(simulator: RunningSimulator, client: RealClient) -> None:
    """What is typed on the clinic's phone reaches the patient, and the client as sent by itself."""
    typed = simulator.write(CLINIC, PATIENT, "digitado no celular")
    echo = client.event("Message", id=typed)
    assert echo["from_me"]
    assert echo["text"] == "digitado no celular"
    assert simulator.texts(PATIENT) == ["digitado no celular"]


def test_two_real_clients_and_a_second_companion(
    simulator: RunningSimulator, client: RealClient, new_client: NewClient
) -> None:
    """Two clinics write to each other; a second companion of one gets its copies and every answer."""
    other = new_client("other clinic")
    other.pair("5511988880002")
    sent = client.do("send", to="5511988880002", text="de clínica para clínica")
    received = other.event("Message", id=sent)
    assert (received["sender"], received["text"]) == (CLINIC, "de clínica para clínica")
    second = new_client("second companion")
    second.pair(CLINIC)
    assert [device["device"] for device in simulator.get(f"/phones/{CLINIC}")["devices"]] == [1, 2]
    answer = other.do("send", to=CLINIC, text="resposta")
    assert client.event("Message", id=answer)["text"] == "resposta"
    from_patient = simulator.write(PATIENT, CLINIC, "para todos")
    for companion in (client, second):
        companion.event("Message", id=from_patient)
    copy = second.do("send", to=PATIENT, text="do segundo")
    assert client.event("Message", id=copy)["from_me"]


def test_media_is_uploaded_and_downloaded(simulator: RunningSimulator, client: RealClient) -> None:
    """The client uploads an encrypted file and gets the same bytes back."""
    assert client.do("media_round_trip", text=os.urandom(5000).hex())


def test_retry_receipts_repair_both_directions(simulator: RunningSimulator, client: RealClient) -> None:
    """A phone that lost its sessions asks the client again; the client asks again for a damaged message."""
    client.do("send", to=PATIENT, text="antes")
    client.event("Message", id=simulator.write(PATIENT, CLINIC, "oi"))
    simulator.post(f"/phones/{PATIENT}/reinstall", announce=False)
    client.do("send", to=PATIENT, text="em sessão velha")
    eventually(lambda: simulator.texts(PATIENT) == ["antes", "em sessão velha"], "the message is sent again")
    counters = simulator.get("/counters")
    assert counters["contact.undecryptable"] >= 1
    assert counters["message.retried"] >= 1

    damaged = simulator.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="estragada", damaged=True)["id"]
    client.event("UndecryptableMessage")
    assert client.event("Message", id=damaged)["text"] == "estragada"
    assert simulator.get("/ledger/summary")["repeated_keys_by_contacts"] == 0


def test_silence_and_latency_only_delay(simulator: RunningSimulator, client: RealClient) -> None:
    """What comes in a silent second arrives after it; with latency everything still arrives, in order."""
    simulator.post(f"/phones/{CLINIC}/silence", seconds=1)
    silent = simulator.write(PATIENT, CLINIC, "no silêncio")
    assert client.is_quiet("Message", for_s=0.5)
    client.event("Message", id=silent)
    simulator.post("/faults", latency_ms=100)
    ids = [simulator.write(PATIENT, CLINIC, f"{number}") for number in range(5)]
    assert [client.event("Message")["id"] for _ in ids] == ids
    client.do("send", to=PATIENT, text="com atraso")


def test_new_companion_gets_copies_from_the_older_one(
    simulator: RunningSimulator, client: RealClient, new_client: NewClient
) -> None:
    """A companion that already knows the device list learns of a new one, and encrypts for it too."""
    client.do("send", to=PATIENT, text="antes do segundo")
    second = new_client("second companion")
    second.pair(CLINIC)
    copy = client.do("send", to=PATIENT, text="depois do segundo")
    assert second.event("Message", id=copy)["from_me"]


def test_kill_under_load_loses_nothing_that_was_answered(simulator: RunningSimulator, client: RealClient) -> None:
    """The simulator is killed between two of many messages: whatever it took (both ways) is delivered once."""
    taken: list[str] = []
    sent: list[str] = []
    for number in range(30):
        taken.append(simulator.write(PATIENT, CLINIC, f"para a clínica {number}"))
        if number == 14:
            simulator.stop(signal.SIGKILL)
            simulator.start()
            client.event("Connected", wait_s=30)
        sent.append(client.do("send", to=PATIENT, text=f"para a paciente {number}"))
    received = [client.event("Message")["id"] for _ in taken]
    assert sorted(received) == sorted(taken)
    assert client.is_quiet("Message", for_s=0.5)
    arrived = [message["id"] for message in simulator.get(f"/phones/{PATIENT}/messages")]
    repeated = {row["id"] for row in simulator.get("/ledger") if row["error"] == "repeated_key"}
    assert sorted({*arrived, *repeated}) == sorted(sent)
    assert len(arrived) == len(set(arrived))

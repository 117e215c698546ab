"""Routing, queues, receipts, ledger and what survives a restart, with companions that need no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Node
from local.whatsapp.jid import LEGACY_SERVER, PHONE_SERVER, SERVER, Jid
from tests.local.whatsapp.companion import Bench, play

if TYPE_CHECKING:
    from pathlib import Path

CLINIC, OTHER_CLINIC, PATIENT = "5511988880001", "5511988880002", "5511977770001"


def test_message_is_acked_receipted_and_noted(tmp_path: Path) -> None:
    """A client's text is acknowledged, decrypted at the patient and answered with a delivery receipt."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        clinic.write(PATIENT, "Olá", "A1")
        (ack,) = clinic.stanzas("ack")
        assert (ack.text("class"), ack.text("id"), ack.text("error")) == ("message", "A1", "")
        (receipt,) = clinic.stanzas("receipt")
        assert (receipt.text("id"), receipt.text("type")) == ("A1", "")
        (row,) = await bench.get("/ledger")
        assert (row["direction"], row["from"], row["to"], row["text"]) == ("from_client", CLINIC, PATIENT, "Olá")
        assert row["accepted_at"] <= row["delivered_at"] <= row["acknowledged_at"]
        assert [message["text"] for message in await bench.get(f"/phones/{PATIENT}/messages")] == ["Olá"]

    play(scenario, tmp_path)


def test_nothing_reaches_another_clinic(tmp_path: Path) -> None:
    """A patient's answer and a clinic's message are seen by the two who talk, and by no other companion."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic, other = bench.companion(CLINIC), bench.companion(OTHER_CLINIC)
        clinic.write(PATIENT, "só para a paciente", "A1")
        await bench.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="só para a clínica")
        assert [clinic.take(node) for node in clinic.stanzas("message")] == ["só para a clínica"]
        assert [node.tag for node in other.seen] == []
        assert await bench.get(f"/phones/{OTHER_CLINIC}/messages") == []
        assert await bench.get(f"/ledger?from={OTHER_CLINIC}") == []
        assert await bench.get(f"/ledger?to={OTHER_CLINIC}") == []

    play(scenario, tmp_path)


def test_queue_survives_a_restart_until_it_is_acknowledged(tmp_path: Path) -> None:
    """What a companion did not acknowledge comes again, after a restart too; what it did, does not."""
    ids: list[str] = []

    async def before(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        sent = [await bench.post(f"/phones/{PATIENT}/messages", to=CLINIC, text=text) for text in ("um", "dois")]
        ids.extend(message["id"] for message in sent)
        first, _second = clinic.stanzas("message")
        assert clinic.take(first) == "um"
        clinic.disconnect()
        ids.append((await bench.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="três"))["id"])

    async def after(bench: Bench) -> None:
        account = bench.network.directory.dialled(CLINIC)
        assert account is not None
        (device,) = account.companions
        assert [node.text("id") for node in device.queue.values()] == ids[1:]
        assert device.prekeys
        rows = {row["id"]: row for row in await bench.get("/ledger")}
        assert [bool(rows[known]["acknowledged_at"]) for known in ids] == [True, False, False]
        assert [bool(rows[known]["delivered_at"]) for known in ids] == [True, True, False]

    play(before, tmp_path)
    play(after, tmp_path)


def test_copies_for_the_own_companions_name_the_recipient(tmp_path: Path) -> None:
    """What is typed on the clinic's phone, or sent by one companion, comes to the others as from themselves."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT, name="Ana")
        first, second = bench.companion(CLINIC), bench.companion(CLINIC)
        patient = bench.network.directory.dialled(PATIENT)
        assert patient is not None
        await bench.post(f"/phones/{CLINIC}/messages", to=PATIENT, text="do celular")
        first.write(PATIENT, "do primeiro", "A1")
        typed, copied = second.stanzas("message")
        for node, device in ((typed, 0), (copied, 1)):
            assert node.jid("from") == Jid(first.device.account.lid, "lid", device)
            assert (node.jid("recipient"), node.jid("peer_recipient_pn")) == (patient.lid_jid, patient.jid)
            assert "sender_pn" not in node.attrs
        assert second.take(typed) == "do celular"
        answer = await bench.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="oi")
        received = second.stanzas("message")[-1]
        assert (received.text("id"), received.text("notify")) == (answer["id"], "Ana")
        assert received.jid("sender_pn") == patient.jid
        assert "recipient" not in received.attrs

    play(scenario, tmp_path)


def test_offline_flush_is_framed(tmp_path: Path) -> None:
    """A companion that comes back gets a preview with the counts, the stanzas marked offline, and the end mark."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        clinic.disconnect()
        await bench.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="olá")
        clinic.connect()
        success, result, preview, message, end = clinic.seen
        assert (success.tag, result.tag) == ("success", "iq")
        assert preview.children()[0].text("message") == "1"
        assert message.text("offline") == "0"
        assert end.children()[0].text("count") == "1"
        assert clinic.take(message) == "olá"
        clinic.disconnect()
        clinic.connect()
        assert clinic.stanzas("message") == []

    play(scenario, tmp_path)


def test_resent_frame_is_acked_again_and_routed_once(tmp_path: Path) -> None:
    """The same stanza twice gives two acks, one message, and no repeated key; another id with its key is one."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        stanza = clinic.write(PATIENT, "uma vez", "A1")
        clinic.submit(stanza)
        assert [node.text("id") for node in clinic.stanzas("ack")] == ["A1", "A1"]
        assert len(await bench.get(f"/phones/{PATIENT}/messages")) == 1
        assert (await bench.get("/ledger/summary"))["repeated_keys_by_client"] == 0
        clinic.submit(Node("message", {**stanza.attrs, "id": "A2"}, stanza.content))
        summary = await bench.get("/ledger/summary")
        assert (summary["repeated_keys_by_client"], summary["repeated_keys_in_own_copies"]) == (1, 1)
        assert summary["decrypted"] == 1
        assert [row["error"] for row in await bench.get("/ledger")] == [None, "repeated_key"]

    play(scenario, tmp_path)


def test_stale_device_list_is_told_by_its_hash(tmp_path: Path) -> None:
    """The ack carries the true list's hash only if the sender left a device out."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        everyone = [*clinic.device.account.devices.values()]
        patient = bench.network.directory.dialled(PATIENT)
        assert patient is not None
        others = [device for device in (*everyone, *patient.devices.values()) if device is not clinic.device]
        clinic.write(PATIENT, "para todos", "A1", others)
        clinic.write(PATIENT, "sem o celular da clínica", "A2", list(patient.devices.values()))
        complete, stale = clinic.stanzas("ack")
        assert complete.text("phash") == ""
        assert stale.text("phash").startswith("2:")

    play(scenario, tmp_path)


def test_send_errors_maintenance_and_dropped_acks(tmp_path: Path) -> None:
    """A refused send is acked with its code and reaches nobody; a dropped ack still delivers."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        await bench.post(f"/phones/{CLINIC}/send-error", code=463, count=1)
        clinic.write(PATIENT, "recusada", "A1")
        assert clinic.stanzas("ack")[0].text("error") == "463"
        assert await bench.get(f"/phones/{PATIENT}/messages") == []
        await bench.post("/faults", drop_acks=1)
        clinic.write(PATIENT, "sem ack", "A2")
        assert len(clinic.stanzas("ack")) == 1
        assert [message["id"] for message in await bench.get(f"/phones/{PATIENT}/messages")] == ["A2"]
        summary = await bench.get("/ledger/summary?by=sender")
        assert (summary["accepted"], summary["errors"]) == (1, 1)
        assert summary["by_sender"][CLINIC]["decrypted"] == 1

    play(scenario, tmp_path)


def test_loss_leaves_messages_in_the_queue(tmp_path: Path) -> None:
    """A stanza lost on the way to a companion is not delivered, and comes with the next login."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        await bench.post("/faults", loss=1)
        await bench.post(f"/phones/{PATIENT}/messages", to=CLINIC, text="perdida no caminho")
        assert clinic.stanzas("message") == []
        await bench.post("/faults", loss=0)
        clinic.connect()
        assert [clinic.take(node) for node in clinic.stanzas("message")] == ["perdida no caminho"]

    play(scenario, tmp_path)


def test_usync_answers_contacts_in_both_forms_and_devices(tmp_path: Path) -> None:
    """A contact query finds either form; device and LID queries take the registered address only."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number="5531977770002", registered_as="553177770002")
        clinic = bench.companion(CLINIC)

        def ask(user: Node, *questions: Node) -> Node:
            parts = [Node("query", {}, list(questions)), Node("list", {}, [user])]
            clinic.submit(
                Node("iq", {"id": "1", "to": SERVER, "type": "get", "xmlns": "usync"}, [Node("usync", {}, parts)])
            )
            usync = clinic.stanzas("iq")[-1].child("usync")
            listed = usync.child("list") if usync is not None else None
            assert listed is not None
            return listed.children()[0]

        for form in ("5531977770002", "553177770002"):
            dialled = f"+{form}@{LEGACY_SERVER}".encode()
            found = ask(Node("user", {}, [Node("contact", {}, dialled)]), Node("contact"))
            assert found.jid("jid") == Jid("553177770002")
            assert [(node.text("type"), node.data()) for node in found.all("contact")] == [("in", dialled)]
        absent = ask(Node("user", {}, [Node("contact", {}, b"+5511900000000@c.us")]), Node("contact"))
        assert [node.text("type") for node in absent.all("contact")] == ["out"]
        devices = ask(Node("user", {"jid": Jid("553177770002")}), Node("devices"), Node("lid"))
        assert {node.tag for node in devices.children()} == {"devices", "lid"}
        assert ask(Node("user", {"jid": Jid("5531977770002", PHONE_SERVER)}), Node("lid")).children() == []

    play(scenario, tmp_path)


def test_one_time_prekeys_are_given_out_once(tmp_path: Path) -> None:
    """Two bundles of a device differ in their one-time key; when few are left the device is asked for more."""

    async def scenario(bench: Bench) -> None:
        clinic = bench.companion(CLINIC)
        taken = [bench.simulator.prekeys.take_bundle(clinic.device).prekey_id for _ in range(20)]
        assert taken == [*range(1, 20), None]
        (request, *_) = clinic.stanzas("notification")
        assert request.children()[0].attrs == {"value": "4"}

    play(scenario, tmp_path)

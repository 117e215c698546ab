"""A WhatsApp server in a box: it speaks the real multi-device protocol to the real, unmodified client.

It stands in for WhatsApp's servers *and* for the phones of patients and clinics, so that pairing,
encryption, delivery and every lifecycle event can be exercised on one machine, offline.
How to run it and what it does not do: ``docs/whatsapp-simulator.md``.
"""

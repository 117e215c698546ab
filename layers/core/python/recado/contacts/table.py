"""What is known of contacts, per clinic: ``clinic#<clinic>``/``contact#<digits or LID>`` in the table ``messages``."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem
from recado.contacts.model import Contact, KnownBy, Resolution


class ContactRecord(ClinicItem):
    """A contact as stored.

    ``kept_until`` is set once the contact is known, and then ``expires_at`` follows it; until then the item expires
    when WhatsApp has to be asked again. How long an answer is good is never read off ``expires_at``.
    """

    table = "messages"

    e164 = UnicodeAttribute(null=True)
    registered_e164 = UnicodeAttribute(null=True)
    jid = UnicodeAttribute(null=True)
    lid = UnicodeAttribute(null=True)
    on_whatsapp = BooleanAttribute(null=True)
    checked_at = MomentAttribute(null=True)
    known_since = MomentAttribute(null=True)
    known_by = WordAttribute(KnownBy, null=True)
    wrote_at = MomentAttribute(null=True)
    kept_until = NumberAttribute(null=True)

    def resolution(self) -> Resolution | None:
        """Return what WhatsApp said, if it was ever asked."""
        if self.checked_at is None or self.e164 is None:
            return None
        return Resolution(
            e164=self.e164,
            registered_e164=self.registered_e164,
            jid=self.jid,
            lid=self.lid,
            on_whatsapp=bool(self.on_whatsapp),
            checked_at=self.checked_at,
        )

    def contact(self) -> Contact:
        """Return the contact."""
        return Contact(self.resolution(), self.known_since, self.known_by, self.wrote_at)


def contact_key(clinic_id: str, name: str) -> tuple[str, str]:
    """Return the key of what a clinic knows about a number (``+55…`` or its digits) or a LID (``…@lid``)."""
    return f"clinic#{clinic_id}", f"contact#{name.removeprefix('+')}"

"""What WhatsApp said about numbers, per clinic: ``clinic#<clinic>``/``contact#<digits>`` in the table ``messages``."""

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from recado.aws.attributes import MomentAttribute
from recado.aws.models import ClinicItem
from recado.contacts.model import Resolution


class ContactRecord(ClinicItem):
    """A resolution as stored; expires when it has to be asked again."""

    table = "messages"

    e164 = UnicodeAttribute()
    registered_e164 = UnicodeAttribute(null=True)
    jid = UnicodeAttribute(null=True)
    lid = UnicodeAttribute(null=True)
    on_whatsapp = BooleanAttribute()
    checked_at = MomentAttribute()

    @classmethod
    def of(cls, clinic_id: str, resolution: Resolution) -> "ContactRecord":
        """Return the item of a resolution."""
        return cls(
            *contact_key(clinic_id, resolution.e164),
            e164=resolution.e164,
            registered_e164=resolution.registered_e164,
            jid=resolution.jid,
            lid=resolution.lid,
            on_whatsapp=resolution.on_whatsapp,
            checked_at=resolution.checked_at,
            expires_at=int(resolution.good_until.timestamp()),
        )

    def resolution(self) -> Resolution:
        """Return the resolution."""
        return Resolution(
            e164=self.e164,
            registered_e164=self.registered_e164,
            jid=self.jid,
            lid=self.lid,
            on_whatsapp=self.on_whatsapp,
            checked_at=self.checked_at,
        )


def contact_key(clinic_id: str, e164: str) -> tuple[str, str]:
    """Return the key of what a clinic knows about a number."""
    return f"clinic#{clinic_id}", f"contact#{e164.removeprefix('+')}"

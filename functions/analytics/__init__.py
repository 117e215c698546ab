"""The analytics consumer: counts messages per clinic, channel, direction and hour."""

"""The session runner: one process per shard that keeps the shard's WhatsApp sessions and drains their outboxes."""

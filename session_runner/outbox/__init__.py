"""A channel's outbox: which message goes next, its way through durable steps, and how it ends."""

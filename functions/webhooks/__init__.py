"""The webhooks consumer: turns each event on the bus into a delivery per endpoint that wants it."""

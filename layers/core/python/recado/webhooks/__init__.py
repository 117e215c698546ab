"""Telling a clinic's own systems what happened: endpoints, deliveries and attempts."""

"""What was seen and not yet handed on, written down before anything else happens."""

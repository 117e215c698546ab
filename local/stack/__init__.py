"""The whole platform on one machine: AWS emulator, the deployed templates, simulated WhatsApp, the session runner."""

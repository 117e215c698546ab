"""Chaos: kills, losses, pauses and outages under paced traffic, and then every message is accounted for."""

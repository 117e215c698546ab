"""Messages: accepted, ordered, sent once, recorded, and listed, each within its own clinic."""

"""One module per resource: HTTP in, a room's service called, HTTP out."""

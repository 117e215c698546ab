"""The REST API: the only place with FastAPI and Mangum."""

"""How much memory each function gets, in MiB; on Lambda it buys CPU in proportion, a whole one at 1,769 MiB.

The same in every stage: what a function needs follows from what it does once, not from how often.
"""

FUNCTION_MEMORY = {
    # Somebody waits, and a cold start imports FastAPI and every route: CPU for that, not memory, is what is bought.
    "api": 1_024,
    # Ten messages with their transactions and events; everything that was received passes through here.
    "recorder": 512,
    # The workers wait for DynamoDB, SQS and other people's servers; Python with boto3 takes about 100 MiB.
    "webhooks": 256,
    "webhook_attempts": 256,
    "webhook_schedule": 256,
    "analytics": 256,
    # Holds and packs a clinic's configuration and sessions, the largest of them at once.
    "backup": 1_024,
}

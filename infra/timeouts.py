"""How long each function may take, in seconds; queues derive their visibility time-outs from it."""

FUNCTION_TIMEOUTS = {
    # API Gateway gives up after 29 s; the longest long poll is 20 s.
    "api": 29,
    # A batch of ten messages, each with up to ten entries, while DynamoDB makes it wait and try again.
    "recorder": 60,
    # Ten events of one clinic, a delivery written and sent for each of its endpoints.
    "webhooks": 30,
    # One HTTP try takes 10 s at most (design, 10.), with its reads and writes round it.
    "webhook_attempts": 30,
    # Over before the next one starts.
    "webhook_schedule": 50,
    "analytics": 30,
    # The longest Lambda allows; it stops by itself before, and the next hour goes on.
    "backup": 900,
}

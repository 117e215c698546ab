"""How long each function may take, in seconds; queues derive their visibility time-outs from it."""

FUNCTION_TIMEOUTS = {
    # API Gateway gives up after 29 s; the longest long poll is 20 s.
    "api": 29,
    "recorder": 60,
    "webhooks": 30,
    # One HTTP try takes 10 s at most (design, 10.), with its reads and writes round it.
    "webhook_attempts": 30,
    "webhook_schedule": 50,
    "analytics": 30,
    "backup": 900,
}

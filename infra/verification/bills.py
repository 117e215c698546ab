"""Whether the bill can be split, and whether somebody hears of alarms."""

from infra.verification.account import BILLING_REGION, Account, CheckFailedError, CheckSkippedError

_TAGS = ("recado:stage", "recado:component", "recado:shard", "recado:clinic")


def cost_tags_are_active(account: Account) -> str:
    """The tags by which the bill is split count: they do from their activation on, never backwards."""
    listed = account.client("ce", BILLING_REGION).list_cost_allocation_tags(TagKeys=list(_TAGS), Type="UserDefined")
    active = {tag["TagKey"] for tag in listed["CostAllocationTags"] if tag["Status"] == "Active"}
    # The clinic's tag is on dedicated shards only, and AWS knows a tag once it has billed something that carries it.
    needed = [tag for tag in _TAGS if tag != "recado:clinic" or account.stage.dedicated_clinics]
    missing = [tag for tag in needed if tag not in active]
    if missing:
        raise CheckFailedError(f"not active: {', '.join(missing)}")
    return f"active: {', '.join(needed)}"


def alarms_are_heard(account: Account) -> str:
    """Alarms are armed, and somebody has confirmed that they want to hear of them."""
    if not account.stage.alarm_email:
        raise CheckSkippedError("the stage has no alarm_email, so nobody is told")
    topic = f"arn:aws:sns:{account.region}:{account.number}:{account.name('alarms')}"
    subscriptions = account.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    confirmed = [one for one in subscriptions if one["SubscriptionArn"].startswith("arn:")]
    if not confirmed:
        raise CheckFailedError(
            f"none of {len(subscriptions)} subscriptions is confirmed: follow the link that was sent"
        )
    pages = account.client("cloudwatch").get_paginator("describe_alarms").paginate(ActionPrefix=topic)
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    silent = sorted(alarm["AlarmName"] for alarm in alarms if not alarm["ActionsEnabled"])
    if not alarms or silent:
        raise CheckFailedError(f"{len(alarms)} alarms tell the topic, of which silenced: {', '.join(silent) or 'none'}")
    ringing = sum(alarm["StateValue"] == "ALARM" for alarm in alarms)
    return f"{len(alarms)} alarms armed, {ringing} ringing, {len(confirmed)} subscriptions confirmed"

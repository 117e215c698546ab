"""What the AWS Solutions checks find and is meant to be so, each with its reason, beside the resource it is about."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Say why a resource, or those inside a construct, departs from a rule.

    Args:
        construct: the resource or what it is made by.
        rule: the rule's name, such as ``ECS2``.
        reason: why it is right here.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason))

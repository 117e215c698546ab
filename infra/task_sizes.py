"""The sizes that Fargate offers a task.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
"""

# By CPU units: the least and the most memory, and the steps between them, in MiB.
_OFFERED = {
    512: (1_024, 4_096, 1_024),
    1_024: (2_048, 8_192, 1_024),
    2_048: (4_096, 16_384, 1_024),
    4_096: (8_192, 30_720, 1_024),
    8_192: (16_384, 61_440, 4_096),
    16_384: (32_768, 122_880, 8_192),
}
_SMALLEST = {256: frozenset({512, 1_024, 2_048})}


def is_offered(cpu: int, memory: int) -> bool:
    """Say whether Fargate has tasks of this size.

    Args:
        cpu: CPU units, 1,024 to a vCPU.
        memory: MiB.
    """
    if cpu in _SMALLEST:
        return memory in _SMALLEST[cpu]
    if cpu not in _OFFERED:
        return False
    least, most, step = _OFFERED[cpu]
    return least <= memory <= most and (memory - least) % step == 0

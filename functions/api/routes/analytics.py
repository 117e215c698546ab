"""Volumes: how many messages came and went."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.auth import ReportsRead, may_see_channel
from functions.api.schemas.analytics import Totals, VolumeAnswer, VolumeQuery, VolumeRow
from recado.analytics import service as analytics
from recado.analytics.model import Volume
from recado.channels import service as channels
from recado.kernel.errors import ChannelNotFoundError
from recado.messages.model import Direction

router = APIRouter(prefix="/v1/clinics/{clinic_id}/analytics", tags=["analytics"])


@router.get("/volume", summary="Count messages by hour")
def get_volume(principal: ReportsRead, clinic_id: str, query: Annotated[VolumeQuery, Query()]) -> VolumeAnswer:
    """Count received and sent messages by hour and channel, from `start` up to before `end`, at most 31 days.

    Hours that have begun count whole. Counts follow the messages within seconds. A key limited to channels sees only
    theirs.
    """
    if query.channel_id is not None:
        if not may_see_channel(principal, query.channel_id):
            raise ChannelNotFoundError
        channels.get(clinic_id, query.channel_id)
    volumes = analytics.volume(clinic_id, query.start, query.end, query.channel_id)
    rows = _rows([volume for volume in volumes if may_see_channel(principal, volume.channel_id)])
    totals = Totals(inbound=sum(row.inbound for row in rows), outbound=sum(row.outbound for row in rows))
    return VolumeAnswer(start=query.start, end=query.end, data=rows, totals=totals)


def _rows(volumes: Sequence[Volume]) -> list[VolumeRow]:
    """Put both directions of an hour into one row."""
    rows: dict[str, VolumeRow] = {}
    for volume in volumes:
        key = f"{volume.hour.isoformat()}#{volume.channel_id}"
        empty = VolumeRow(hour=volume.hour, channel_id=volume.channel_id, inbound=0, outbound=0)
        row = rows.setdefault(key, empty)
        if volume.direction is Direction.INBOUND:
            row.inbound += volume.count
        else:
            row.outbound += volume.count
    return [rows[key] for key in sorted(rows)]

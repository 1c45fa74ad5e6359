"""Step 4 for a model that is not simply open: who is let in, within which limits, what is told."""

from dataclasses import replace

from tokenbooth.core.caller import Caller, Invitation
from tokenbooth.core.features import asked_features, media_param
from tokenbooth.core.op import Op
from tokenbooth.core.turn import Turn
from tokenbooth.gateway.directory import Directory
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages.service import Door, Stage
from tokenbooth.protocols.dialect import Dialect

Notices = tuple[tuple[str, str], ...]
NO_NOTICES: Notices = ()


async def let_in(
    directory: Directory, op: Op, dialect: Dialect, caller: Caller, turn: Turn, door: Door
) -> tuple[Caller, Notices]:
    """The caller with the limits of its cohort, and the headers that tell of an announced end.

    Raises MODEL_NOT_OPEN naming the model or the field of the capability, MODEL_RETIRED, and
    MODEL_NOT_FOUND for a model that nobody is to know of.
    """
    if door.stage not in stages.OPEN_TO_ALL:
        if door.stage is not Stage.PRIVATE_PREVIEW:
            raise stages.refusal(turn.model, door)
        place = await directory.place(op, turn.model, caller.org_id)
        if not place.invited:
            raise stages.refusal(turn.model, door)
        caller = replace(caller, invitation=Invitation(turn.model, place.limits))
    for feature in asked_features(turn) if door.parts else ():
        for part in door.parts:
            if part.capability != feature.value or part.stage in stages.OPEN_TO_ALL:
                continue
            previews = part.stage is Stage.PRIVATE_PREVIEW
            if previews and (await directory.place(op, turn.model, caller.org_id)).invited:
                continue
            param = media_param(turn, feature) or dialect.param_of(feature)
            raise stages.part_refusal(turn.model, part, param)
    return caller, door.headers

"""Self-supervised questions about pictures, with answers that need no label (SSL4RL and relatives)."""

from selfrl.rewards.vision.channel_order import ChannelOrder
from selfrl.rewards.vision.depth_order import DepthOrder
from selfrl.rewards.vision.flipped_patch import FlippedPatch
from selfrl.rewards.vision.inpainting import Inpainting
from selfrl.rewards.vision.jigsaw import Jigsaw
from selfrl.rewards.vision.picture_task import PictureTask, Source
from selfrl.rewards.vision.position import Position
from selfrl.rewards.vision.rotation import Rotation
from selfrl.rewards.vision.same_source import Contrastive

PICTURE_TASKS: dict[str, type[PictureTask]] = {
    task.name: task
    for task in (Rotation, Jigsaw, Contrastive, Position, Inpainting, FlippedPatch, DepthOrder, ChannelOrder)
}

__all__ = [
    "PICTURE_TASKS",
    "ChannelOrder",
    "Contrastive",
    "DepthOrder",
    "FlippedPatch",
    "Inpainting",
    "Jigsaw",
    "PictureTask",
    "Position",
    "Rotation",
    "Source",
]

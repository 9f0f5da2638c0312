"""How an address event is packed into 32 bits, and how raw axes become picture axes: data, no code paths.

``AddressLayout`` says where a camera keeps row, column and polarity in the address. ``Orientation``
says what a data set means by them; sources disagree, so it is an explicit choice.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsnn.errors import InvalidRequest


@dataclass(frozen=True)
class AddressLayout:
    """Bit fields of one camera's addresses; all masks are applied before the shift.

    ``special_mask`` marks words that are no pixel events (external inputs, synchronisation); among them
    ``frame_mask`` marks samples of pictures, and all of ``motion_mask`` together samples of an inertial
    sensor. Bits of ``ignored_mask`` mean nothing in a pixel event. ``chip`` is what jAER calls the camera in
    a file's header.
    """

    name: str
    raw_width: int
    raw_height: int
    x_mask: int
    x_shift: int
    y_mask: int
    y_shift: int
    polarity_mask: int
    polarity_shift: int
    special_mask: int
    frame_mask: int = 0
    motion_mask: int = 0
    ignored_mask: int = 0
    chip: str = ""

    @property
    def used_mask(self) -> int:
        """All bits that an address of this layout may have set."""
        return self.x_mask | self.y_mask | self.polarity_mask | self.special_mask | self.ignored_mask

    def decode(self, address: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return raw x, raw y and the polarity bit of each address, all of its shape, signed.

        ``address`` is int64 or uint32; of 32 bits, the results have 16 where the fields fit these.
        """
        masks = (self.x_mask, self.x_shift), (self.y_mask, self.y_shift)
        small = address.itemsize == 4 and all(mask >> shift < 2**15 for mask, shift in masks)
        kind = np.int16 if small else np.int64
        x, y = (((address & mask) >> shift).astype(kind, copy=False) for mask, shift in masks)
        return x, y, ((address & self.polarity_mask) >> self.polarity_shift).astype(kind, copy=False)

    def encode(self, x: NDArray[np.int64], y: NDArray[np.int64], bit: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the addresses of raw x, raw y and polarity bit; the reverse of ``decode``."""
        return x << self.x_shift | y << self.y_shift | bit << self.polarity_shift


DVS128 = AddressLayout(
    name="DVS128",
    raw_width=128,
    raw_height=128,
    x_mask=0x00FE,
    x_shift=1,
    y_mask=0x7F00,
    y_shift=8,
    polarity_mask=0x0001,
    polarity_shift=0,
    special_mask=0x8000,
    chip="DVS128",
)
"""The iniVation DVS128: bit 0 polarity, bits 1-7 x, bits 8-14 y, bit 15 special event."""


def _davis(name: str, width: int, height: int, chip: str) -> AddressLayout:
    return AddressLayout(
        name=name,
        raw_width=width,
        raw_height=height,
        x_mask=0x003FF000,
        x_shift=12,
        y_mask=0x7FC00000,
        y_shift=22,
        polarity_mask=0x0800,
        polarity_shift=11,
        special_mask=0x80000400,
        frame_mask=0x80000000,
        motion_mask=0x80000C00,
        ignored_mask=0x000003FF,
        chip=chip,
    )


DAVIS240 = _davis("DAVIS240", 240, 180, "DAVIS240C")
"""The iniVation DAVIS240 (A, B, C), 240 x 180 pixels.

Bit 11 polarity, bits 12-21 x, bits 22-30 y, bit 10 special event; bit 31 a sample of a picture, with bits 10
and 11 one of the inertial sensor; bits 0-9 are theirs. Source: jAER, ``eu.seebetter.ini.chips.DavisChip``.
"""

DAVIS346 = _davis("DAVIS346", 346, 260, "Davis346blue")
"""The iniVation DAVIS346, 346 x 260 pixels, with the bits of ``DAVIS240``."""

LAYOUTS = {known.name.lower(): known for known in (DVS128, DAVIS240, DAVIS346)}
"""The layouts that can be named."""


def layout_of(given: AddressLayout | str) -> AddressLayout:
    """A layout, or the one of a name.

    Raises
    ------
    InvalidRequest
        Neither.
    """
    if isinstance(given, AddressLayout):
        return given
    if not isinstance(given, str) or given.lower() not in LAYOUTS:
        raise InvalidRequest(f"unknown layout {given!r}; allowed are {', '.join(LAYOUTS)}")
    return LAYOUTS[given.lower()]


@dataclass(frozen=True)
class Orientation:
    """From raw addresses to picture coordinates: swap the axes, then mirror each, then name ON.

    Attributes
    ----------
    name
        What to call it in messages.
    swap
        Picture x comes from raw y and picture y from raw x.
    mirror_x, mirror_y
        Count picture columns (rows) from the other end, after the swap.
    on_bit
        The value of the polarity bit that means ON (p = True): 0 or 1.
    """

    name: str
    swap: bool
    mirror_x: bool
    mirror_y: bool
    on_bit: int

    def size(self, layout: AddressLayout) -> tuple[int, int]:
        """Return height and width of the picture."""
        return (layout.raw_width, layout.raw_height) if self.swap else (layout.raw_height, layout.raw_width)

    def to_picture(
        self, layout: AddressLayout, x: NDArray[Any], y: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return picture x and y of raw x and y."""
        height, width = self.size(layout)
        if self.swap:
            x, y = y, x
        return (width - 1 - x if self.mirror_x else x), (height - 1 - y if self.mirror_y else y)

    def to_raw(
        self, layout: AddressLayout, x: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return raw x and y of picture x and y; the reverse of ``to_picture``."""
        height, width = self.size(layout)
        x, y = (width - 1 - x if self.mirror_x else x), (height - 1 - y if self.mirror_y else y)
        return (y, x) if self.swap else (x, y)


CIFAR10_DVS = Orientation("cifar10-dvs", swap=True, mirror_x=True, mirror_y=True, on_bit=0)
"""x = 127 - raw y, y = 127 - raw x, ON = bit 0: upright CIFAR10-DVS pictures, as spikingjelly reads them."""

JAER_MATLAB = Orientation("jaer-matlab", swap=False, mirror_x=True, mirror_y=False, on_bit=0)
"""x = 127 - raw x, ON = bit 0: what jAER's own Matlab scripts give."""

RAW = Orientation("raw", swap=False, mirror_x=False, mirror_y=False, on_bit=1)
"""Addresses as stored, ON = bit 1: what the camera maker's documentation says of the bits."""

LOWER_LEFT = Orientation("lower-left", swap=False, mirror_x=False, mirror_y=True, on_bit=1)
"""Rows counted from below, ON = bit 1: what iniVation's documentation of AEDAT 2.0 says of its cameras."""

ORIENTATIONS = {known.name: known for known in (RAW, JAER_MATLAB, CIFAR10_DVS, LOWER_LEFT)}
"""The orientations that can be named."""


def orientation_of(given: Orientation | str) -> Orientation:
    """An orientation, or the one of a name.

    Raises
    ------
    InvalidRequest
        Neither.
    """
    if isinstance(given, Orientation):
        return given
    if not isinstance(given, str) or given not in ORIENTATIONS:
        raise InvalidRequest(f"unknown orientation {given!r}; allowed are {', '.join(ORIENTATIONS)}")
    return ORIENTATIONS[given]

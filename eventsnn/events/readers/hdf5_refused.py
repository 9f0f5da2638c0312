"""HDF5 files of other programs: refused, by what they hold."""

import os

from eventsnn.errors import InvalidFile
from eventsnn.events.readers.contract import Decoded, Settings, Where
from eventsnn.events.readers.files import in_one_line

MAGIC = b"\x89HDF\r\n\x1a\n"

_PROPHESEE_FILTER = 0x8ECF


def refuse_size(path: Where, settings: Settings) -> tuple[int, int]:
    """Refuses, as ``refuse``."""
    raise InvalidFile(what_it_is(path))


def refuse(path: Where, settings: Settings) -> Decoded:
    """Refuses.

    Raises
    ------
    InvalidFile
        Always: Prophesee's files name the filter that they need.
    """
    raise InvalidFile(what_it_is(path))


def what_it_is(path: Where) -> str:
    """What a message says of an HDF5 file that is not read."""
    import h5py

    try:
        with h5py.File(os.fspath(path), "r") as file:
            events = file.get("CD/events")
            if isinstance(events, h5py.Dataset):
                plist = events.id.get_create_plist()
                filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
                if _PROPHESEE_FILTER in filters:
                    return (
                        f"{path}: this is HDF5 of Prophesee, whose events are packed with their own "
                        "filter 0x8ECF "
                        "(ECF); write it as .raw or .dat with Metavision (metavision_file_to_dat), and "
                        "give that"
                    )
                return (
                    f"{path}: this is HDF5 of Prophesee without their filter 0x8ECF, which is not read; "
                    "write it "
                    "as .raw or .dat with Metavision, and give that"
                )
            held = ", ".join(sorted(file)[:6])
    except Exception as error:  # HDF5 answers to damage with any kind of error
        return f"{path}: cannot be read as HDF5 ({in_one_line(error)}); it is damaged, fetch it again"
    return (
        f"{path}: this is HDF5 of another program (it holds {held or 'nothing'}), which is not read as events"
    )

"""Event streams: what an event is, files of events, sets of recordings, and emulated cameras.

``stream`` says what a valid stream is and reduces it, ``readers`` holds the formats of files, ``layouts``
camera and data-set conventions as data, ``clock`` says what a step back in time is. ``event_file`` reads our
own file of a set (``event_columns``, ``event_seal``), ``event_parts`` and ``event_writing`` make it,
``event_sets`` opens it, ``splits`` has splits by name. ``datasets``, ``folders`` and ``recordings`` open
folders of files lazily, ``any_format``, ``gesture`` and ``tonic_sets`` are kinds of them, ``transforms`` are
steps from events to events, ``formats`` knows what is not read yet by name, ``images`` reads sets of images,
``encoders`` makes input of them, ``inputs`` holds spike trains and analog images, ``saccade`` and ``smooth``
emulate recordings from pictures (``pixels`` is their camera), ``i2e`` makes events of small movements,
``synthetic`` writes them as files, ``draws`` holds all randomness.
"""

from eventsnn.events.aedat_sets import CIFAR10_CLASSES as CIFAR10_CLASSES
from eventsnn.events.clock import CLOCKS as CLOCKS
from eventsnn.events.clock import Clock as Clock
from eventsnn.events.datasets import open_dataset as open_dataset
from eventsnn.events.datasets import open_recordings as open_recordings
from eventsnn.events.datasets import record_counts as record_counts
from eventsnn.events.encoders import ENCODINGS as ENCODINGS
from eventsnn.events.encoders import Encoding as Encoding
from eventsnn.events.encoders import encode as encode
from eventsnn.events.file_sets import SPLITS as SPLITS
from eventsnn.events.i2e import encode_i2e as encode_i2e
from eventsnn.events.images import ImageSet as ImageSet
from eventsnn.events.images import image_set as image_set
from eventsnn.events.inputs import AnalogImage as AnalogImage
from eventsnn.events.inputs import Sample as Sample
from eventsnn.events.inputs import SpikeTrain as SpikeTrain
from eventsnn.events.inputs import spike_train as spike_train
from eventsnn.events.layouts import CIFAR10_DVS as CIFAR10_DVS
from eventsnn.events.layouts import DAVIS240 as DAVIS240
from eventsnn.events.layouts import DAVIS346 as DAVIS346
from eventsnn.events.layouts import DVS128 as DVS128
from eventsnn.events.layouts import JAER_MATLAB as JAER_MATLAB
from eventsnn.events.layouts import LAYOUTS as LAYOUTS
from eventsnn.events.layouts import LOWER_LEFT as LOWER_LEFT
from eventsnn.events.layouts import ORIENTATIONS as ORIENTATIONS
from eventsnn.events.layouts import RAW as RAW
from eventsnn.events.layouts import AddressLayout as AddressLayout
from eventsnn.events.layouts import Orientation as Orientation
from eventsnn.events.readers.aedat2 import AedatCounts as AedatCounts
from eventsnn.events.readers.aedat2 import read_aedat as read_aedat
from eventsnn.events.readers.aedat2 import read_aedat_with_counts as read_aedat_with_counts
from eventsnn.events.readers.aedat2_writing import write_aedat as write_aedat
from eventsnn.events.readers.contract import Decoded as Decoded
from eventsnn.events.readers.five_byte import NMNIST_HEIGHT as NMNIST_HEIGHT
from eventsnn.events.readers.five_byte import NMNIST_WIDTH as NMNIST_WIDTH
from eventsnn.events.readers.five_byte import NmnistCounts as NmnistCounts
from eventsnn.events.readers.five_byte import read_five_byte as read_five_byte
from eventsnn.events.readers.five_byte import read_five_byte_with_counts as read_five_byte_with_counts
from eventsnn.events.readers.five_byte import read_nmnist as read_nmnist
from eventsnn.events.readers.five_byte import read_nmnist_with_counts as read_nmnist_with_counts
from eventsnn.events.readers.five_byte import write_five_byte as write_five_byte
from eventsnn.events.readers.five_byte import write_nmnist as write_nmnist
from eventsnn.events.readers.reading import read_chunks as read_chunks
from eventsnn.events.readers.reading import read_events as read_events
from eventsnn.events.readers.reading import write_events as write_events
from eventsnn.events.readers.registry import FORMATS as FORMATS
from eventsnn.events.recordings import Recording as Recording
from eventsnn.events.recordings import RecordingSet as RecordingSet
from eventsnn.events.rewriting import rewrite_recordings as rewrite_recordings
from eventsnn.events.saccade import emulate_saccades as emulate_saccades
from eventsnn.events.smooth import SmoothMovement as SmoothMovement
from eventsnn.events.smooth import emulate_smooth_movement as emulate_smooth_movement
from eventsnn.events.stream import EVENT_DTYPE as EVENT_DTYPE
from eventsnn.events.stream import MAX_TIME_US as MAX_TIME_US
from eventsnn.events.stream import Events as Events
from eventsnn.events.stream import downsample_addresses as downsample_addresses
from eventsnn.events.stream import event_counts as event_counts
from eventsnn.events.stream import make_events as make_events
from eventsnn.events.stream import take_fraction as take_fraction
from eventsnn.events.stream import validate_events as validate_events
from eventsnn.events.synthetic import write_emulated_cifar10_dvs as write_emulated_cifar10_dvs
from eventsnn.events.transforms import TRANSFORMS as TRANSFORMS
from eventsnn.events.transforms import Transform as Transform
from eventsnn.events.transforms import read_transform as read_transform

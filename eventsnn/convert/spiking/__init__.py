"""Modules of PyTorch's spiking libraries: networks that spike already, read as they are.

``eventsnn.from_spiking`` is the door (``reader``). What each library's modules compute is said in one file a
library (``spikingjelly``, ``snntorch``, ``sinabs``, ``norse``), one small function a class; the libraries
themselves are never imported here: a user's model brings its own.
"""

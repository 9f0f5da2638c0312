"""Random networks of spiking libraries, what these make of them, and stubs where they are not installed."""

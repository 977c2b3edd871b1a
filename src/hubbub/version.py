"""Which version of Hubbub this is."""

__version__ = "0.1.0"

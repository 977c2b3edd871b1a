"""Hubbub and its peers, measured side by side: `python -m bench`, or `python -m bench fanout`."""

"""Hubbub, the real-time server for Python: every client, one hub."""

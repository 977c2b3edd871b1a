"""What is wrong with a certificate or its key, in a sentence. OpenSSL's own say "PEM lib" of most."""

import ssl
from pathlib import Path

from hubbub.cli.plain import plain
from hubbub.errors import UsageError


def check(certificate: str, key: str | None) -> None:
    """Raises UsageError unless a server can use this certificate chain with this key (None: in the same file)."""
    _readable("certificate", certificate)
    key = key or certificate
    _readable("private key", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except (ssl.SSLError, OSError):
        raise UsageError(f"There is no certificate in {certificate}: it must be PEM.") from None
    try:
        # A pass phrase would be asked for on the terminal; the empty one fails instead.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(f"The private key in {key} is not that of the certificate {certificate}.") from None
        reason = f" ({error.reason.lower().replace('_', ' ')})" if error.reason else ""
        raise UsageError(
            f"There is no usable private key in {key}: it must be PEM, without a pass phrase{reason}."
        ) from None


def _readable(what: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"The {what} {path} cannot be read: {plain(error)}.") from None

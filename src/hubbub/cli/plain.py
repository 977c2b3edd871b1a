"""What the operating system and OpenSSL say of a failure, in a few words that end a sentence."""

import ssl


def plain(error: Exception) -> str:
    """As in "permission denied": without numbers, without the file's name, and small at its beginning."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]

"""The file beside a log: it says which process has the log, and how much of it there was.

A log that lost its end looks like one that never had it. SQLite takes the damaged end of a write-ahead log for a
commit that did not happen, and a backup put in the place of the newer file is a perfectly good database. Offsets
would then be given out a second time under the same epoch, and a client that comes back would be told that it missed
nothing. So after each commit, before anybody hears of it, the number of commits is written here. If the log knows
fewer, or if this is not the file that was written (it is missing, damaged or a copy), the past may not be what it was.

It is written without fsync. A process that is killed loses none of it; when the power fails it may be older than the
log, never newer, and an old witness merely proves less.
"""

import os
import struct
import sys
import zlib
from contextlib import suppress

_RECORD = struct.Struct(">8sQQQ")
_CHECKSUM = struct.Struct(">I")
_MAGIC = b"HUBBUB 1"
_FS_IOC_GETVERSION = 0x80087601  # linux/fs.h: _IOR('v', 1, long)

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 4_096, os.SEEK_SET)  # there others may not even read a locked byte
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from None

    def _generation(descriptor: int) -> int:
        return 0

    def _write(descriptor: int, data: bytes) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, data)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _generation(descriptor: int) -> int:
        """How often this file's number was given to a file: ext4 gives a deleted file's number to the next one."""
        try:
            answer = fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, bytes(8))
        except OSError:  # not Linux, or a file system that does not count
            return 0
        return int.from_bytes(answer[:4], sys.byteorder)

    def _write(descriptor: int, data: bytes) -> None:
        os.pwrite(descriptor, data, 0)


class Witness:
    """Holds the file at ``path`` as long as the process lives or until ``close``; no other can have it meanwhile.

    Raises BlockingIOError when another has it, OSError when it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            _lock(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise
        self._identity = (os.fstat(self._descriptor).st_ino, _generation(self._descriptor))
        """A copy of the file has another one."""

    def vouches(self, commits: int) -> bool:
        """Whether a log that knows this many commits has all that it ever had."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        data = os.read(self._descriptor, _RECORD.size + _CHECKSUM.size)
        record, checksum = data[: _RECORD.size], data[_RECORD.size :]
        if len(data) < _RECORD.size + _CHECKSUM.size or _CHECKSUM.unpack(checksum) != (zlib.crc32(record),):
            return False
        magic, *identity, seen = _RECORD.unpack(record)
        return bool(magic == _MAGIC and tuple(identity) == self._identity and seen <= commits)

    def saw(self, commits: int) -> None:
        """So many commits are in the log. Raises OSError."""
        record = _RECORD.pack(_MAGIC, *self._identity, commits)
        _write(self._descriptor, record + _CHECKSUM.pack(zlib.crc32(record)))

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)

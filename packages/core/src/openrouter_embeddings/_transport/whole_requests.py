"""The head of a request goes with its body: one call of the system, and one packet for a small request, not two."""

from __future__ import annotations

_END_OF_HEAD = b"\r\n\r\n"


class WholeRequests:
    """Holds a head back until what follows it is written, which httpcore always does: b"" where there is no body."""

    def __init__(self) -> None:
        self._head = b""

    def joined(self, buffer: bytes) -> bytes:
        """Return what is to be sent now."""
        if not self._head and buffer.endswith(_END_OF_HEAD):
            self._head = buffer
            return b""
        whole, self._head = self._head + buffer, b""
        return whole

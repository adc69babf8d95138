"""One exchange with a cloud's metadata server: no proxy, no redirect, no name looked up, and an end in time and size.

`http.client` alone bounds neither: its limit is for each piece that arrives, and a server may send a byte a second.
"""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

Address = tuple[str, int]
"""Numeric, so that no name is looked up, and port."""

LONGEST_ANSWER_BYTES = 64 * 2**10
"""Headers included. Azure's, the longest, has some KiB."""


class NoAnswer(Exception):
    """Why a metadata server told nothing: our own words and its status, nothing else that it sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A metadata server and the moment, on the monotonic clock, by which it must have answered everything."""

    address: Address
    deadline: float

    @classmethod
    def within(cls, seconds: float, address: Address) -> "Server":
        """All exchanges together may take so many seconds from now."""
        return cls(address=address, deadline=time.monotonic() + seconds)

    def answer(self, method: str, path: str, headers: Mapping[str, str], proof: tuple[str, str] | None = None) -> str:
        """The text of an answer of status 200 that has the header of ``proof``, if one is asked for. Blocks.

        Raises:
            NoAnswer: anything else, at the deadline at the latest.
        """
        try:
            with _BoundedSocket(self.deadline) as bounded:
                bounded.hurry()
                bounded.connect(self.address)
                connection = HTTPConnection(*self.address)
                connection.sock = bounded
                connection.request(method, path, headers={**headers, "Connection": "close"})
                with connection.getresponse() as response:
                    return _text(response, proof)
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        except ConnectionRefusedError:
            raise NoAnswer("connection refused") from None
        except (OSError, HTTPException, ValueError) as error:
            raise NoAnswer(f"no sound HTTP answer, {type(error).__name__}") from None


def _text(response: HTTPResponse, proof: tuple[str, str] | None) -> str:
    if response.status != 200:
        raise NoAnswer(f"status {response.status}")
    if proof is not None and response.getheader(proof[0]) != proof[1]:
        raise NoAnswer(f"an answer without {': '.join(proof)}")
    body = response.read(LONGEST_ANSWER_BYTES)
    if response.length:
        raise NoAnswer("an answer cut short")
    return body.decode()


class _BoundedSocket(socket.socket):
    """Reads until a moment and up to a size, in however many pieces the other side sends."""

    def __init__(self, deadline: float) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.deadline, self.left_bytes = deadline, LONGEST_ANSWER_BYTES

    def hurry(self) -> None:
        """Let the next operation end at the deadline."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)

    def recv_into(self, *arguments: Any) -> int:
        self.hurry()
        count = super().recv_into(*arguments)
        self.left_bytes -= count
        if self.left_bytes < 0:
            raise NoAnswer(f"an answer of over {LONGEST_ANSWER_BYTES} bytes")
        return count

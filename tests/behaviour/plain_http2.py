"""One HTTP/2 request by hand, over a TLS connection that agreed on it: enough to see that a gateway speaks it."""

from __future__ import annotations

import socket
import ssl
import struct

__all__ = ["get", "negotiated"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS, _END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1, 0x4, 0x1
# Entries of HPACK's static table: ":status" with these values.
_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def _connect(port: int, server_name: str, ca: str, alpn: list[str]) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=ca)
    context.set_alpn_protocols(alpn)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname=server_name)


def negotiated(port: int, server_name: str, ca: str, alpn: list[str]) -> str | None:
    """The protocol that a server chooses of those that are offered."""
    with _connect(port, server_name, ca, alpn) as connection:
        return connection.selected_alpn_protocol()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header that goes into no table, neither name nor value compressed."""
    return b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def get(port: int, server_name: str, path: str, ca: str) -> int:
    """Send a GET by HTTP/2; returns the status."""
    pairs = ((":method", "GET"), (":scheme", "https"), (":authority", server_name), (":path", path))
    block = b"".join(_literal(name, value) for name, value in pairs)
    with _connect(port, server_name, ca, ["h2"]) as connection, connection.makefile("rb") as file:
        request = _frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, block)
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + request)
        while True:
            head = file.read(9)
            assert len(head) == 9, "the connection was closed before the reply"
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            payload = file.read(length)
            if kind == _SETTINGS and not flags & _ACK:
                connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
            if kind == _HEADERS:
                if payload[0] & 0x80:
                    return _STATUS[payload[0] & 0x7F]
                # A status outside the static table is a literal under the indexed name; its digits are not compressed
                # by more than HPACK's Huffman code, which no test here needs.
                raise AssertionError(f"a status that this client does not read: {payload[:8]!r}")

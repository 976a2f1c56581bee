"""Imported by every Python process whose path starts with this folder: whoever looks beyond this machine fails.

Notebooks promise to run without a network. A kernel talks to its client over the loopback, which stays open.
"""

import ipaddress
import socket
from typing import Any


def _refuse(host: Any) -> None:
    """Raise if ``host`` is not this machine."""
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in ("", "None", "localhost", socket.gethostname()):
        return
    try:
        if ipaddress.ip_address(name.partition("%")[0]).is_loopback or name in ("0.0.0.0", "::"):
            return
    except ValueError:
        pass
    raise OSError(f"There is no network here, and something asked for {name!r}.")


class _Socket(socket.socket):
    def connect(self, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        super().connect(address)

    def connect_ex(self, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        return super().connect_ex(address)


_getaddrinfo = socket.getaddrinfo


def _resolve(host: Any, *arguments: Any, **settings: Any) -> Any:
    _refuse(host)
    return _getaddrinfo(host, *arguments, **settings)


socket.socket = _Socket  # type: ignore[misc]
socket.getaddrinfo = _resolve

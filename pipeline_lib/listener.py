"""A port that listens before anybody is told its address."""

import socket
from contextlib import ExitStack, suppress

from pipeline_lib.errors import InputError


def listening(host: str, *ports: int) -> socket.socket:
    """A socket that listens on the first of ``ports`` that is free; whoever connects waits until a server accepts.

    Args:
        host: address to listen on, IPv4 or IPv6.
        ports: in the order to try them; 0 is any that is free.

    Raises:
        InputError: none can be had.
    """
    *others, last = ports
    for port in others:
        with suppress(OSError):
            return _listener(host, port)
    try:
        return _listener(host, last)
    except OSError as error:
        raise InputError(f"Cannot listen on {host}:{last} ({error.strerror}); choose another port.") from error


def _listener(host: str, port: int) -> socket.socket:
    """A socket of its own for each try: two processes may bind to one port, and then only the first can listen."""
    with ExitStack() as opening:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = opening.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        opening.pop_all()
    return listener


def url_of(listener: socket.socket) -> str:
    """Address of a server on a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"

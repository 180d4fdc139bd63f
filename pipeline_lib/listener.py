"""A port that listens before anybody is told its address."""

import socket

from pipeline_lib.errors import InputError


def listening(host: str, *ports: int) -> socket.socket:
    """A socket that listens on the first of ``ports`` that is free; whoever connects waits until a server accepts.

    Args:
        host: address to listen on, IPv4 or IPv6.
        ports: in the order to try them; 0 is any that is free.

    Raises:
        InputError: none can be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for port in ports:
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as error:
            if port != ports[-1]:
                continue
            listener.close()
            raise InputError(f"Cannot listen on {host}:{port} ({error.strerror}); choose another port.") from error
        break
    return listener


def url_of(listener: socket.socket) -> str:
    """Address of a server on a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"

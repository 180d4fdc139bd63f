"""A port that listens before anybody is told its address, whoever else is after it."""

import errno
import socket

import pytest

from pipeline_lib import listener as module
from pipeline_lib.errors import InputError
from pipeline_lib.listener import listening, url_of


def test_the_first_free_port_is_taken_and_one_that_is_not_free_is_said():
    with listening("127.0.0.1", 0) as one:
        taken = one.getsockname()[1]
        with listening("127.0.0.1", taken, 0) as other:
            assert other.getsockname()[1] != taken
            socket.create_connection(other.getsockname(), timeout=300).close()
        with pytest.raises(InputError, match=rf"Cannot listen on 127\.0\.0\.1:{taken} "):
            listening("127.0.0.1", taken)
        assert url_of(one) == f"http://127.0.0.1:{taken}"


def test_another_process_may_bind_to_the_port_at_the_same_moment_and_listen_first(monkeypatch):
    tries = []

    class Raced(socket.socket):
        """The kernel lets both bind, and the second cannot listen."""

        def listen(self, *given):
            tries.append(self.getsockname()[1])
            if len(tries) == 1:
                raise OSError(errno.EADDRINUSE, "Address already in use")
            super().listen(*given)

    monkeypatch.setattr(module.socket, "socket", Raced)
    with listening("127.0.0.1", 0, 0) as found:
        assert len(tries) == 2
        assert tries[1] == found.getsockname()[1]

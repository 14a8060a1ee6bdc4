"""A process that others are forked from, because importing everything takes a second.

It runs no thread and no event loop, so that a fork of it is like a process that was
just started. A message on its link asks for a child, and brings what is to be its stdin
and stdout, and its stderr. What becomes of the children is told on the link, a JSON
object each: who was born, who stands still, and who ended how.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
from typing import Any

MOST = 4096
"""Bytes of a message, more than any has."""


def fork_on_demand(link: socket.socket) -> bool:
    """Fork until the link is closed.

    Args:
        link: To whoever asks for children.

    Returns:
        Whether this is a child.
    """
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker)
    while True:
        ready, _, _ = select.select([link.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, MOST)
            _tell_of_children(link)
        if link.fileno() in ready:
            asked, given, *_ = socket.recv_fds(link, MOST, 2)
            if not asked:
                return False
            talk, log = given
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (link.fileno(), woken, waker):
                    os.close(descriptor)
                _become(talk, log)
                return True
            os.close(talk)
            os.close(log)
            _tell(link, pid=child)


def _become(talk: int, log: int) -> None:
    for standard, given in ((0, talk), (1, talk), (2, log)):
        os.dup2(given, standard)
    os.close(talk)
    os.close(log)
    random.seed()  # or siblings would draw the same


def _tell_of_children(link: socket.socket) -> None:
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:
            return
        if found is None:
            return
        if found.si_code == os.CLD_STOPPED:
            _tell(link, pid=found.si_pid, stands=True)
        elif found.si_code == os.CLD_EXITED:
            _tell(link, pid=found.si_pid, code=found.si_status)
        else:
            _tell(link, pid=found.si_pid, code=-found.si_status)


def _tell(link: socket.socket, **what: Any) -> None:
    link.send(json.dumps(what).encode())

"""worker.py owns the processes that take part: one each, which stand still unless it is their turn.

Each library brings its own threads (PyTorch's libgomp, onnxruntime's pool, the system's libgomp), and threads
that wait for work spin for a while: together in one process, or side by side in several, they would slow each
other down. To switch the spinning off would change what is measured. So everyone has a process, which runs as
its library does by default, and is stopped (SIGSTOP) as soon as its turn is over. A turn begins with a call
that is not timed, which wakes the threads and fills the caches, unless calls are long: those warm themselves.
"""

import ctypes
import multiprocessing
import os
import signal
import statistics
import time

LONG = 0.2  # seconds: a call that takes as long needs no warming
TURN = 0.05  # seconds that a turn should last, at least
MOST_CALLS = 50  # in a turn
PR_SET_PDEATHSIG = 1


class PeerError(Exception):
    """One sentence on why a peer does not take part."""


class Worker:
    """A peer in a process of its own. `make(*arguments)` runs there."""

    def __init__(self, make, *arguments):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.versions = self._answer()
        except PeerError:
            self.close()
            raise

    def prepare(self, work, threads):
        """A remark or None, the arrays of a first call, and the seconds that a call takes."""
        return self._ask("prepare", work, threads)

    def turn(self, calls):
        """The median seconds of a call's forward and, where it has one, backward."""
        return self._ask("turn", calls)

    def close(self):
        self._process.kill()
        self._process.join()

    def _ask(self, *question):
        self._signal(signal.SIGCONT)
        try:
            self._connection.send(question)
        except OSError:
            raise PeerError(self._obituary()) from None
        return self._answer()

    def _answer(self):
        try:
            failure, answer = self._connection.recv()
        except EOFError:
            raise PeerError(self._obituary()) from None
        self._signal(signal.SIGSTOP)
        if failure:
            raise PeerError(failure)
        return answer

    def _signal(self, number):
        if self._process.is_alive():
            os.kill(self._process.pid, number)

    def _obituary(self):
        self._process.join()
        return f"its process ended with exit code {self._process.exitcode}"


def calls_in_turn(seconds):
    return max(1, min(MOST_CALLS, round(TURN / seconds)))


def _serve(connection, make, arguments):
    """The other side: makes the peer, then answers until the pipe closes."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    session = None

    def begin():
        nonlocal session
        session = _Session(make(*arguments))
        return session.peer.versions()

    _reply(connection, begin)
    while session:
        try:
            question, *rest = connection.recv()
        except EOFError:
            return
        _reply(connection, getattr(session, question), *rest)


def _reply(connection, function, *arguments):
    try:
        connection.send((None, function(*arguments)))
    except Exception as error:  # whatever a library throws is a reason for it to sit out
        lines = str(error).strip().splitlines() or [""]
        connection.send((f"{type(error).__name__}: {lines[0]}", None))


class _Session:
    """A peer has versions(), prepare(work, threads), forward(), backward(what forward returned)."""

    def __init__(self, peer):
        self.peer = peer

    def prepare(self, work, threads):
        self.training = work.training
        remark = self.peer.prepare(work, threads)
        *seconds, arrays = self._call(keep=True)
        if sum(seconds) < LONG:  # the first call did what is done once, too
            seconds = self._call()
        self.seconds = sum(seconds)
        return remark, arrays, self.seconds

    def turn(self, calls):
        if self.seconds < LONG:
            self._call()
        times = [self._call() for _ in range(calls)]
        return [statistics.median(parts) for parts in zip(*times)]

    def _call(self, keep=False):
        """The seconds of forward and of backward, if there is one; with keep, also what they returned."""
        start = time.perf_counter()
        outputs = self.peer.forward()
        seconds = [time.perf_counter() - start]
        gradients = {}
        if self.training:
            start = time.perf_counter()
            gradients = self.peer.backward(outputs)
            seconds.append(time.perf_counter() - start)
        if keep:
            return *seconds, {name: _array(x) for name, x in (outputs | gradients).items() if name != "lse"}
        return seconds


def _array(x):
    """A NumPy array of what may be a PyTorch tensor."""
    return x.detach().numpy() if hasattr(x, "detach") else x

"""A tool on a terminal of its own, and how soon it answers keys."""

import contextlib
import fcntl
import os
import pty
import random
import select
import struct
import termios
import time

from watch import PATIENCE, ToolError, cpu_seconds, peak_mb, started

COLUMNS, LINES = 200, 60
HELP, CLOSE = b"?", b"\x1b"
# A word of the help that no view has.
HELP_SAYS = b"another"
# A tab, in every view.
FRAME_SAYS = b"Overview"


class Screen:
    """No other process reads the tool's end of the terminal."""

    def __init__(self, terminal, child):
        self.terminal = terminal
        self.child = child
        self.first_frame = 0.0  # Seconds from exec.

    def read(self, seconds):
        """What is drawn in so many seconds."""
        drawn, deadline = b"", time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                drawn += self.read_some()
        return drawn

    def read_some(self):
        try:
            return os.read(self.terminal, 65536)
        except OSError as error:
            raise ToolError("ended by itself") from error

    def answer(self, key, says):
        """Seconds from a key to the words it must bring."""
        drawn, begin = b"", time.monotonic()
        os.write(self.terminal, key)
        while says not in drawn:
            if not select.select([self.terminal], [], [], PATIENCE)[0]:
                raise ToolError(f"no answer to {key} within {PATIENCE} s")
            drawn += self.read_some()
        return time.monotonic() - begin

    def answers(self, seconds):
        """Seconds that each key took, pressed at any moment of an interval."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            yield self.answer(HELP, HELP_SAYS)
            self.read(0.1)
            os.write(self.terminal, CLOSE)
            self.read(random.uniform(0.1, 0.5))

    def cpu_seconds(self):
        """CPU taken so far."""
        return cpu_seconds(self.child.pid)

    def peak_mb(self):
        return peak_mb(self.child)


@contextlib.contextmanager
def on_screen(argv):
    """The tool on a terminal, drawn at least once."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    files = {"stdin": other_end, "stdout": other_end, "stderr": other_end}
    begin = time.monotonic()
    try:
        with started(argv, **files, env=os.environ | {"TERM": "xterm-256color"}) as child:
            os.close(other_end)
            screen = Screen(terminal, child)
            drawn = b""
            while FRAME_SAYS not in drawn:
                drawn += screen.read_some()
            screen.first_frame = time.monotonic() - begin
            screen.answer(HELP, HELP_SAYS)
            os.write(terminal, CLOSE)
            yield screen
    finally:
        os.close(terminal)

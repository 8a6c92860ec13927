#!/usr/bin/env python3
"""terminal.py ROWS COLUMNS COMMAND…: runs the command on a terminal of its own of this size, as a person would, by the
lines of standard input: `type TEXT` (with Python's escapes), `expect TEXT`, `resize ROWS COLUMNS`. Prints all that the
terminal said, and in the end a line `status N`."""
import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LIMIT = 30


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


steps = [line.rstrip("\n") for line in sys.stdin if line.strip()]
rows, columns, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
pid, master = pty.fork()
if pid == 0:
    # As a login gives them: neither what Python ignores, nor what a job in the background does.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    resize(0, rows, columns)
    os.execvp(command[0], command)

said = b""
seen = 0


def hear():
    """Reads more; False at the end."""
    global said
    readable, _, _ = select.select([master], [], [], LIMIT)
    if not readable:
        os.kill(pid, signal.SIGKILL)
        sys.exit(f"terminal.py: nothing more was said within {LIMIT} s; so far: {said!r}")
    try:
        data = os.read(master, 65536)
    except OSError:  # EIO: the command has ended
        return False
    said += data
    return len(data) > 0


deadline = time.monotonic() + LIMIT
for step in steps:
    verb, _, rest = step.partition(" ")
    if verb == "type":
        os.write(master, codecs.decode(rest, "unicode_escape").encode())
    elif verb == "resize":
        resize(master, *map(int, rest.split()))
    elif verb == "expect":
        wanted = codecs.decode(rest, "unicode_escape").encode()
        while wanted not in said[seen:]:
            if time.monotonic() > deadline or not hear():
                os.kill(pid, signal.SIGKILL)
                sys.exit(f"terminal.py: {rest!r} was not said; so far: {said!r}")
        seen += said[seen:].index(wanted) + len(wanted)
    else:
        sys.exit(f"terminal.py: unknown step {step!r}")
while hear():
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(said)
print(f"status {os.waitstatus_to_exitcode(status)}")

"""A seccomp agent (config-linux.md, Seccomp): seccomp-agent.py SOCKET STATE LOG [NUMBER=RESULT]...

Takes one container process state and writes it to STATE, then answers the system calls that the listener asks about:
those of a NUMBER with RESULT (negative: an errno), all others by letting them go on. Writes each number to LOG. Ends with
the last process of the filter.
"""
import array
import errno
import fcntl
import os
import select
import socket
import struct
import sys

NOTIF_RECV = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV: struct seccomp_notif, 80 bytes
NOTIF_SEND = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND: struct seccomp_notif_resp, 24 bytes
FLAG_CONTINUE = 1

path, state, log = sys.argv[1:4]
answers = {int(number): int(result) for number, result in (each.split("=") for each in sys.argv[4:])}

server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
# Whoever sees the socket may connect.
server.bind(f"{path}.new")
server.listen(1)
os.rename(f"{path}.new", path)
connection, _ = server.accept()
text, listeners = b"", array.array("i")
while True:
    data, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_LEN(16 * listeners.itemsize))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            listeners.frombytes(content)
    if not data:
        break
    text += data
if len(listeners) != 1:
    sys.exit(f"{len(listeners)} descriptors")
with open(f"{state}.new", "wb") as file:
    file.write(text)
os.rename(f"{state}.new", state)

listener = listeners[0]
poll = select.poll()
poll.register(listener, select.POLLIN)
while True:
    if any(events & select.POLLHUP for _, events in poll.poll()):
        break
    notification = bytearray(80)
    try:
        fcntl.ioctl(listener, NOTIF_RECV, notification)
        number = struct.unpack_from("i", notification, 16)[0]
        with open(log, "a") as file:
            file.write(f"{number}\n")
        result = answers.get(number)
        answer = struct.pack(
            "=QqiI",
            struct.unpack_from("Q", notification)[0],
            result if result is not None and result >= 0 else 0,
            result if result is not None and result < 0 else 0,
            FLAG_CONTINUE if result is None else 0,
        )
        fcntl.ioctl(listener, NOTIF_SEND, answer)
    except OSError as error:
        if error.errno != errno.ENOENT:  # the process was killed meanwhile
            raise

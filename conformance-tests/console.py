#!/usr/bin/env python3
"""console.py SOCKET INPUT: takes a terminal's master over a console socket (runc's protocol), types INPUT into it, and
prints what the terminal says until it is closed. Stands for what conmon and containerd's shim do."""
import array
import os
import select
import socket
import sys

path, typed = sys.argv[1], sys.argv[2].encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
    listener.bind(path)
    listener.listen(1)
    print("listening", flush=True)
    connection, _ = listener.accept()
    fds = array.array("i")
    message, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(fds.itemsize))
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: fds.itemsize])
master = fds[0]
print("name " + message.decode(), flush=True)
while True:
    if typed:
        typed = typed[os.write(master, typed) :]
    readable, _, _ = select.select([master], [], [], 30)
    if not readable:
        sys.exit("console.py: nothing more was said within 30 s")
    try:
        data = os.read(master, 65536)
    except OSError:  # EIO: the last holder of the terminal is gone
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

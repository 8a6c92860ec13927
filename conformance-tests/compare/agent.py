#!/usr/bin/env python3
"""agent.py SOCKET LOG: a seccomp agent that takes one filter's listener, appends what it was told to LOG, and answers nothing:
with the listener closed, calls that ask it return ENOSYS (seccomp_unotify(2))."""
import array
import json
import os
import socket
import sys

path, log = sys.argv[1:]
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
    listener.bind(path)
    listener.listen(1)
    connection, _ = listener.accept()
    fds = array.array("i")
    message = b""
    while True:
        data, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(16 * fds.itemsize))
        for level, kind, content in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        if not data:
            break
        message += data
with open(log, "a") as file:
    file.write("== agent %d-descriptors\n%s\n" % (len(fds), json.dumps(json.loads(message.rstrip(b"\0")))))
for fd in fds:
    os.close(fd)

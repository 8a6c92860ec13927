#!/usr/bin/env python3
"""notify.py PATH: a service manager's notify socket (sd_notify(3)). Prints each message as a line of JSON; BARRIER=1 is
answered by closing what came with it."""
import array
import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
    listener.bind(sys.argv[1])
    print(json.dumps("listening"), flush=True)
    while True:
        fds = array.array("i")
        message, control, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(fds.itemsize))
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: fds.itemsize])
        print(json.dumps(message.decode()), flush=True)
        for fd in fds:
            os.close(fd)

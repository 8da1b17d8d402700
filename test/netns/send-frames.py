# Puts frames on the wire as they are, one after the other: lines of "DEVICE HEX" on stdin.
# One processor sends them all, so that they also arrive in that order.
import os
import socket
import sys

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sockets = {}
for line in sys.stdin:
    device, frame = line.split()
    if device not in sockets:
        sockets[device] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sockets[device].bind((device, 0))
    sockets[device].send(bytes.fromhex(frame))

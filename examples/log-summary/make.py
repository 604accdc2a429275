#!/usr/bin/env python3
"""Writes server.log next to this file. Always the same bytes: the seed is fixed and no clock is read."""

import random
from datetime import datetime, timedelta
from pathlib import Path

pick = random.Random(20260914)
START = datetime(2026, 9, 14, 5, 58, 3)
END = START + timedelta(hours=26)
PATHS = ["/", "/login", "/api/cart", "/api/orders", "/api/search", "/api/profile", "/static/app.js", "/health"]
USERS = ["u-%04d" % n for n in range(1, 240)]

entries = []  # (time, order, bytes)


def put(when, level, service, text):
    stamp = when.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (when.microsecond // 1000)
    line = "%s %-5s %-9s %s" % (stamp, level, service, text)
    entries.append((when, len(entries), line.encode("utf-8")))


def moment(start, seconds):
    return start + timedelta(seconds=pick.uniform(0, seconds))


def request(when):
    path = pick.choices(PATHS, [9, 3, 8, 5, 7, 4, 9, 6])[0]
    millis = int(pick.lognormvariate(3.4, 0.6)) + 2
    status = pick.choices([200, 304, 404], [92, 6, 2])[0]
    method = "POST" if path in ("/login", "/api/orders") else "GET"
    put(when, "INFO", "api", "%s %s status=%d latency_ms=%d req=%08x" % (method, path, status, millis, pick.getrandbits(32)))


def ordinary():
    for _ in range(1270):
        when = moment(START, 26 * 3600)
        if when.hour in range(1, 6) and pick.random() < 0.55:
            when = when.replace(hour=pick.randrange(9, 22))
        if START <= when <= END:
            request(when)
    for _ in range(150):
        put(moment(START, 26 * 3600), "INFO", "auth", "login ok user=%s method=%s" % (pick.choice(USERS), pick.choice(["password", "passkey"])))
    for _ in range(120):
        put(moment(START, 26 * 3600), "DEBUG", "cache", "evicted %d keys in %d us" % (pick.randrange(1, 400), pick.randrange(40, 900)))
    for _ in range(90):
        put(moment(START, 26 * 3600), "INFO", "worker", "job %d done kind=%s took_ms=%d" % (pick.randrange(10000, 99999), pick.choice(["mail", "thumbnail", "invoice"]), pick.randrange(20, 2200)))
    for _ in range(14):
        put(moment(START, 26 * 3600), "WARN", "auth", "login failed user=%s reason=%s" % (pick.choice(USERS), pick.choice(["bad_password", "expired"])))
    for _ in range(11):
        put(moment(START, 26 * 3600), "WARN", "api", "slow query table=orders took_ms=%d" % pick.randrange(1000, 4800))


def database_refuses():
    for _ in range(47):
        when = moment(START + timedelta(hours=7, minutes=12), 5.2 * 3600)
        put(when, "ERROR", "worker", "connection refused to db-2:5432 job=%d attempt=%d" % (pick.randrange(10000, 99999), pick.randrange(1, 4)))


def disk_fills():
    for step in range(19):
        when = START + timedelta(hours=2, minutes=73 * step, seconds=pick.randrange(50))
        put(when, "WARN", "disk", "usage %d%% on /var/lib/data" % (79 + step))


def burst_of_502():
    start = datetime(2026, 9, 15, 3, 14, 7)
    for _ in range(164):
        when = moment(start, 285)
        put(when, "ERROR", "gateway", "upstream timeout status=502 upstream=%s latency_ms=%d req=%08x"
            % (pick.choice(["search-1", "search-2"]), pick.randrange(30000, 30080), pick.getrandbits(32)))
    put(start + timedelta(seconds=301), "INFO", "gateway", "upstream search-1 healthy again")
    put(start + timedelta(seconds=304), "INFO", "gateway", "upstream search-2 healthy again")


def stack_trace():
    when = datetime(2026, 9, 14, 16, 41, 55, 310000)
    put(when, "ERROR", "billing", "unhandled exception in charge_invoice invoice=88213\n"
        "Traceback (most recent call last):\n"
        '  File "/srv/billing/worker.py", line 212, in run\n'
        "    charge_invoice(job.invoice)\n"
        '  File "/srv/billing/charge.py", line 77, in charge_invoice\n'
        "    rate = RATES[invoice.currency]\n"
        "KeyError: 'ISK'")


def oddities():
    put(datetime(2026, 9, 14, 19, 3, 12), "WARN", "api", "payload rejected: body is not JSON, first bytes " + "A1b2" * 1500 + " …")
    when = datetime(2026, 9, 14, 21, 27, 40)
    put(when, "WARN", "auth", "login failed user=Jos@ reason=bad_password")
    entries[-1] = (when, entries[-1][1], entries[-1][2].replace(b"Jos@", b"Jos\xe9"))
    put(datetime(2026, 9, 14, 14, 5, 0), "ERROR", "mail", "smtp 421 from mx.example.net: try again later")
    put(datetime(2026, 9, 14, 14, 35, 0), "ERROR", "mail", "smtp 421 from mx.example.net: try again later")
    put(datetime(2026, 9, 14, 18, 20, 9), "INFO", "api", "GET /api/search status=200 latency_ms=9874 req=5eaf00d1")
    put(datetime(2026, 9, 15, 0, 0, 1), "INFO", "worker", "nightly report started")


def heartbeats():
    when = START + timedelta(seconds=20)
    while when < END:
        put(when, "DEBUG", "health", "heartbeat ok")
        when += timedelta(minutes=6, seconds=pick.randrange(0, 40))


def main():
    for part in (ordinary, database_refuses, disk_fills, burst_of_502, stack_trace, oddities, heartbeats):
        part()
    # The night stands still for 22 minutes: nothing at all is written.
    quiet = datetime(2026, 9, 14, 23, 10, 30)
    loud = quiet + timedelta(minutes=22, seconds=4)
    kept = [entry for entry in entries if not quiet < entry[0] < loud]
    put(quiet, "INFO", "api", "config reloaded")
    put(loud, "INFO", "api", "accepting connections")
    kept = sorted(kept + entries[-2:])
    # One clock jumps back by 250 seconds, just before noon, for three lines.
    jump = datetime(2026, 9, 14, 11, 52, 30)
    out = bytearray()
    shifted = 0
    for when, _, line in kept:
        if when > jump and shifted < 3:
            back = when - timedelta(seconds=250)
            line = (back.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (back.microsecond // 1000)).encode() + line[24:]
            shifted += 1
        out += line + b"\n"
    Path(__file__).with_name("server.log").write_bytes(bytes(out))


main()

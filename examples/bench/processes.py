"""Processes of this machine as /proc shows them (Linux only)."""

import os
import re
import threading

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def processes() -> dict[int, dict]:
    """Snapshot of all processes: parent, CPU seconds, RSS bytes."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as file:
                field = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        table[int(name)] = {
            "state": field[0],
            "ppid": int(field[1]),
            "own": (int(field[11]) + int(field[12])) / TICK,
            "reaped": (int(field[13]) + int(field[14])) / TICK,
            "rss": int(field[21]) * PAGE,
        }
    return table


def tree(table: dict[int, dict], root: int) -> list[int]:
    """`root` and all its descendants."""
    found, todo = [], [root] if root in table else []
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += [p for p, row in table.items() if row["ppid"] == pid]
    return found


def high_water(pid: int) -> int:
    """Peak RSS of a live process, as counted by the kernel."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) * 1024
    except (OSError, AttributeError):
        return 0


def command_line(pid: int) -> str:
    """Command line of a process, empty if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return ""


class Sampler(threading.Thread):
    """Track the peak RSS of the process trees of some root processes."""

    def __init__(self, interval: float = 0.25) -> None:
        super().__init__(daemon=True)
        self.interval, self.roots, self.peak = interval, {}, {}
        self._halt = threading.Event()

    def run(self) -> None:
        while not self._halt.wait(self.interval):
            table = processes()
            total = 0
            for name, pid in list(self.roots.items()):
                pids = tree(table, pid)
                rss = sum(table[p]["rss"] for p in pids)
                total += rss
                children = [table[p]["rss"] for p in pids if p != pid]
                for key, value in (
                    (f"{name}.tree", rss),
                    (f"{name}.child", max(children, default=0)),
                ):
                    self.peak[key] = max(self.peak.get(key, 0), value)
            self.peak["total"] = max(self.peak.get("total", 0), total)

    def stop(self) -> None:
        self._halt.set()

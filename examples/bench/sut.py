"""Start, observe and stop a system under test (SUT) described by a TOML file."""

import os
import re
import signal
import subprocess
import time
import tomllib
import urllib.request
from pathlib import Path

from processes import Sampler, command_line, high_water, processes, tree
from run import Run


def _program(name: str) -> str:
    """A path that does not depend on the working directory; a bare name is left to PATH."""
    return str(Path(name).absolute()) if os.sep in name else name


class Sut:
    """One superlink and some supernodes, plus `flwr` commands that talk to it."""

    def __init__(self, spec_file, work, port=17000, *, venv="", rhizome="", fakenode=""):
        with open(spec_file, "rb") as file:
            self.spec = tomllib.load(file)
        self.work = Path(work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.vars = {"port": port, "work": str(self.work), "n": 0}
        self.env = dict(os.environ)
        if venv:
            venv = Path(venv).absolute()
            self.env["PATH"] = f"{venv}/bin:{self.env['PATH']}"
        self.vars["venv"] = str(venv)
        self.vars["rhizome"] = _program(rhizome)
        self.vars["fakenode"] = _program(fakenode)
        self.env["FLWR_HOME"] = str(self.work / "home")
        self.env.update(
            {k: self.fill(str(v)) for k, v in self.spec.get("env", {}).items()}
        )
        (self.work / "home").mkdir(exist_ok=True)
        (self.work / "home" / "config.toml").write_text(
            self.fill(self.spec["flwr"]["config"])
        )
        self.procs: dict[str, subprocess.Popen] = {}
        self.sampler = Sampler()
        self.sampler.start()

    def fill(self, text: str, **extra) -> str:
        """Replace the placeholders."""
        for key, value in {**self.vars, **extra}.items():
            text = text.replace("{" + key + "}", str(value))
        return text

    def log_file(self, name: str) -> Path:
        return self.work / f"{name}.log"

    def _spawn(self, name: str, command: list[str], **extra) -> None:
        args = [self.fill(a, **extra) for a in command]
        with open(self.log_file(name), "ab") as log:
            self.procs[name] = subprocess.Popen(
                args,
                env=self.env,
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.sampler.roots[name] = self.procs[name].pid

    def start_superlink(self, timeout: float = 60) -> float:
        """Start it, wait until it is ready, return the seconds that took."""
        for helper in self.spec.get("helper", []):
            if helper["name"] not in self.procs:
                self._start_helper(helper, timeout)
        start = time.time()
        spec = self.spec["superlink"]
        self._spawn("superlink", spec["cmd"])
        while time.time() < start + timeout:
            if self.procs["superlink"].poll() is not None:
                raise RuntimeError(f"superlink died, see {self.log_file('superlink')}")
            if self._superlink_ready(spec):
                return time.time() - start
            time.sleep(0.02)
        raise TimeoutError("superlink not ready")

    def _superlink_ready(self, spec: dict) -> bool:
        try:
            with urllib.request.urlopen(self.fill(spec["ready_url"]), timeout=1):
                pass
        except OSError:
            return False
        return "ready_file" not in spec or Path(self.fill(spec["ready_file"])).exists()

    def _start_helper(self, helper: dict, timeout: float) -> None:
        """Start a process that the SUT needs; what its output says becomes a placeholder."""
        for step in helper.get("first", []):
            out = subprocess.run(
                [self.fill(a) for a in step["cmd"]],
                env=self.env, cwd=self.work, capture_output=True, text=True, check=True,
            ).stdout
            self.vars[step["sets"]] = out.strip()
        self._spawn(helper["name"], helper["cmd"])
        pattern = re.compile(helper["ready_log"], re.M)
        end = time.time() + timeout
        while not (found := pattern.search(self.log_file(helper["name"]).read_text())):
            if time.time() > end or self.procs[helper["name"]].poll() is not None:
                raise RuntimeError(f"{helper['name']} not ready")
            time.sleep(0.02)
        self.vars[helper["name"]] = found.group(1)

    def start_supernode(self, i: int, n: int) -> None:
        self._spawn(
            f"supernode{i}",
            self.spec["supernode"]["cmd"],
            i=i,
            n=n,
            node_port=self.port + 1 + i,
        )

    def wait_supernodes(self, ids, offsets=None, timeout: float = 300) -> None:
        """Wait until each supernode has logged that it is connected."""
        pattern = re.compile(self.spec["supernode"]["ready_log"].encode())
        end = time.time() + timeout
        for i in ids:
            skip = (offsets or {}).get(i, 0)
            while not pattern.search(self.log_file(f"supernode{i}").read_bytes()[skip:]):
                if time.time() > end:
                    raise TimeoutError(f"supernode{i} not ready")
                if self.procs[f"supernode{i}"].poll() is not None:
                    raise RuntimeError(f"supernode{i} died")
                time.sleep(0.05)

    def start(self, n: int, batch: int = 4) -> None:
        """Start the superlink and n supernodes, a few at a time."""
        self.start_superlink()
        for first in range(0, n, batch):
            ids = range(first, min(n, first + batch))
            for i in ids:
                self.start_supernode(i, n)
            self.wait_supernodes(ids)

    # ----------------------------------------------------------------- measuring
    def cpu(self) -> dict[str, float]:
        """CPU seconds so far: each root process, its tree, and what is counted apart of it."""
        def used(row):
            return row["own"] + row["reaped"]

        return self._by_root(lambda row: row["own"], used)

    def rss(self) -> dict[str, int]:
        """RSS now: each root process, its tree, and what is counted apart of it."""
        return self._by_root(lambda row: row["rss"], lambda row: row["rss"])

    def _by_root(self, of_root, of_any) -> dict:
        table, out = processes(), {}
        apart = self.spec.get("apart")
        for name, pid in self.sampler.roots.items():
            if pid not in table:
                continue
            pids = tree(table, pid)
            out[name] = of_root(table[pid])
            out[f"{name}.tree"] = sum(of_any(table[p]) for p in pids)
            out[f"{name}.apart"] = sum(
                of_any(table[p]) for p in pids if apart and apart in command_line(p)
            )
        return out

    def peaks(self) -> dict[str, int]:
        """Peak RSS: kernel high-water mark per root, sampled peaks for trees."""
        out = dict(self.sampler.peak)
        out.update({name: high_water(pid) for name, pid in self.sampler.roots.items()})
        return out

    def requests(self) -> int | None:
        """Requests in the superlink's access log so far, if the SUT has one."""
        pattern = self.spec["superlink"].get("access_log")
        if not pattern:
            return None
        return len(re.findall(pattern.encode(), self.log_file("superlink").read_bytes()))

    def request_paths(self) -> dict[str, int]:
        """Number of requests per path in the superlink's access log."""
        pattern = re.compile(self.spec["superlink"]["access_log"].encode() + rb"(\S+)")
        counts: dict[str, int] = {}
        for match in pattern.finditer(self.log_file("superlink").read_bytes()):
            path = match.group(1).decode(errors="replace")
            counts[path] = counts.get(path, 0) + 1
        return counts

    def tcp_bytes(self) -> int:
        """Bytes in and out of the superlink's open TCP connections so far."""
        text = subprocess.run(
            ["ss", "-tinH", "state", "established", f"sport = :{self.port}"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        found = re.findall(r"bytes_(?:acked|received):(\d+)", text)
        return sum(int(v) for v in found)

    # --------------------------------------------------------------------- flwr
    def flwr(self, *args: str, timeout: float = 120) -> str:
        """Run a `flwr` command and return its stdout."""
        done = subprocess.run(
            ["flwr", *args],
            env=self.env,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return done.stdout + done.stderr

    def run(self, app: Path, config: dict, stream: bool = True) -> "Run":
        return Run(self, app, config, stream)

    # ---------------------------------------------------------------------- stop
    def kill(self, name: str, sig: int = signal.SIGKILL, whole_tree=False) -> None:
        """Signal one root process (or its tree), by pid."""
        root = self.procs[name].pid
        for pid in tree(processes(), root) if whole_tree else [root]:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def forget(self, name: str) -> None:
        """Reap a killed root process."""
        self.procs.pop(name).wait()
        self.sampler.roots.pop(name, None)

    def stop(self) -> None:
        """Stop everything this object started."""
        self.sampler.stop()
        table = processes()
        pids = [p for proc in self.procs.values() for p in tree(table, proc.pid)]
        for sig, wait in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            end = time.time() + wait
            while time.time() < end and any(
                p.poll() is None for p in self.procs.values()
            ):
                time.sleep(0.05)

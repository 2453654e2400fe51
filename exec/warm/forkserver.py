"""Fork server of a Rhizome SuperExec: app processes without the wait for their imports.

Speaks over one unix socket, whose descriptor is its first argument: one JSON request a
line in, each with the app's output file as a passed descriptor, one JSON event a line
out. It has imported flwr and the modules that an app was seen to need (a JSON list in the
file that is its second argument); each request is answered by a fork that runs the stock
entry point and ends as a fresh process would. The fork for the next request is made when
the app before has ended, and waits.

    request  {"entry": "flwr-clientapp", "argv": [...], "env": {...}, "mark": "path",
              "learn": "path"}
    events   {"event": "ready", "failed": [...], "watch": {"folder": 1}, "threads": 0}
             {"event": "started", "pid": 42}
             {"event": "failed", "detail": "..."}
             {"event": "exited", "pid": 42, "status": 0}

A request is sent when the one before was answered by "started" or "failed". The server
ends when the socket does. Its children live on: they lead process groups of their own,
and the pid of a child is in the file "mark" before it is told. Only the standard library
is used, and only one thread: fork copies no other.
"""

import argparse
import atexit
import ctypes
import functools
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import random
import select
import signal
import site
import socket
import ssl
import sys
import threading
import time

# Longest request line. A request carries the environment, which Linux bounds at about 2 MiB.
MAX_REQUEST = 4 << 20
# Modules that are written down for an app; a TensorFlow app imports about 3,000.
MAX_LEARNED = 10_000
# What a node starts for each message. Apps with a long life give memory back as they do in
# a process of their own.
SHORT_LIVED = "flwr-clientapp"
# Of glibc's malloc.h: use no mmap for large blocks, and (-1) never shrink the heap.
M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1
# Seconds for a thread that has ended to vanish from the kernel's list.
THREAD_LIMIT = 1.0


def main() -> None:
    """Preload, then serve requests until the socket ends; in a child, run the app."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    watch = watched_folders()  # before the imports: what changes meanwhile is a change, too
    with open(sys.argv[2], encoding="utf-8") as file:
        failed = preload(json.load(file))
    rehearse()
    flush_output()  # else every child would print it again
    gc.collect()
    gc.freeze()  # else the first collection of a child would copy all pages
    say(control, event="ready", failed=failed, watch=watch, threads=lost_threads())
    app = Server(control).serve()
    if app is not None:
        end_process(run_app(app))


def preload(modules: list[str]) -> list[str]:
    """Import modules in the given order; name those that can not be imported."""
    failed = []
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001  an import may raise anything, even SystemExit
            failed.append(name)
    return failed


def rehearse() -> None:
    """Do once what every app would do for the first time, and what is kept in memory then."""
    # flwr asks about the machine twice in each app, for which `platform` starts `uname` and
    # `file`: a fifth of the CPU that an app with nothing to do takes. It keeps all answers but
    # that of `file`.
    platform.platform()
    if ask := getattr(platform, "_syscmd_file", None):
        platform._syscmd_file = functools.cache(ask)
    platform.architecture()
    # OpenSSL sets itself up for 4 ms; its random numbers are seeded again after a fork.
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Its texts are looked up, and its patterns compiled, which is a millisecond.
    argparse.ArgumentParser(prog="").parse_args([])


def watched_folders() -> dict[str, int]:
    """Folders whose change means that packages have changed, and when they did last.

    Whoever installs, upgrades or removes a package adds and removes folders there.
    """
    folders = site.getsitepackages() + [site.getusersitepackages()]
    return {folder: change_time(folder) for folder in folders}


def change_time(path: str) -> int:
    """When a folder changed last, in nanoseconds; 0 if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def lost_threads() -> int:
    """Count the threads that a child will miss.

    It is counted after a fork: libraries that are made for it, as OpenBLAS is, put their
    threads away before one and start others when they need them. The kernel is asked,
    since a thread of a C library is none for `threading`.
    """
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + THREAD_LIMIT
    while others := len(os.listdir("/proc/self/task")) - 1:
        if time.monotonic() > deadline:
            break
        time.sleep(0.005)
    return others


class Server:
    """Answers requests. In a child its methods return the app to run, and None otherwise."""

    def __init__(self, control):
        self.control = control
        self.wake, self.waker = os.pipe()
        for end in (self.wake, self.waker):
            os.set_blocking(end, False)
        # Read once: it takes 2 ms, and packages that change end this server.
        self.programs = {found.name: found for found in importlib.metadata.entry_points(group="console_scripts")}
        self.spare = None

    def serve(self):
        """Serve requests until there are no more."""
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the wake-up fd is written
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the SuperExec to handle
        waiting, passed = b"", []
        app = self.fork_ahead()
        while app is None:
            readable, _, _ = select.select([self.control, self.wake], [], [])
            if self.wake in readable:
                drain(self.wake)
                ended, _ = self.report_exits()
                # What an app used is free for the next one. Not while a request is half here: the
                # child would have the output that came with it twice.
                if ended and not waiting:
                    app = self.fork_ahead()
                    if app is not None:
                        break
            if self.control not in readable:
                continue
            try:
                data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 1)
            except ConnectionResetError:
                data = b""
            if not data or len(waiting) > MAX_REQUEST:
                return self.outlive_children()
            waiting += data
            passed += descriptors
            if not waiting.endswith(b"\n"):
                continue
            app = self.start(waiting, passed)
            if app is None:
                for descriptor in passed:
                    os.close(descriptor)
                waiting, passed = b"", []
        return app

    def outlive_children(self) -> None:
        """No more requests: tell of the apps that still run, then end."""
        if self.spare:
            self.spare.line.close()
        while self.report_exits()[1]:
            select.select([self.wake], [], [])
            drain(self.wake)

    def report_exits(self) -> tuple[bool, bool]:
        """Reap every child that has ended, with all that it started, and say so.

        Returns whether an app has ended, and whether children are left.
        """
        ended = False
        while True:
            try:
                pid = next_ended()
                if not pid:
                    return ended, True
                _, status = os.waitpid(pid, 0)
            except ChildProcessError:
                return ended, False
            if self.spare and self.spare.pid == pid:
                self.spare.line.close()
                self.spare = None  # somebody has killed it, and would kill another
                continue
            say(self.control, event="exited", pid=pid, status=os.waitstatus_to_exitcode(status))
            ended = True

    def fork_ahead(self):
        """Fork the child that will answer the next request, if there is none."""
        if self.spare:
            return None
        near, far = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:  # the request will tell
            near.close()
            far.close()
            return None
        if pid:
            far.close()
            self.spare = Spare(pid, near)
            return None
        near.close()
        self.leave()
        line, output = receive(far)
        far.close()
        request = json.loads(line)
        become_app(request, output)
        return self.programs[request["entry"]].load()

    def start(self, line: bytes, passed: list[int]):
        """Answer one request, by the child that was forked ahead or by a new one."""
        try:
            request = json.loads(line)
            entry = self.programs[request["entry"]].load()
            (output,) = passed
            pid = self.give(line, output) or os.fork()
        except Exception as error:  # noqa: BLE001  the request is refused, the server goes on
            say(self.control, event="failed", detail=repr(error))
            return None
        if pid:
            write_mark(request["mark"], pid)
            say(self.control, event="started", pid=pid)
            return None
        self.leave()
        become_app(request, output)
        return entry

    def give(self, line: bytes, output: int) -> int:
        """Give a request to the child that waits for one. Returns its pid; 0 if none took it."""
        spare, self.spare = self.spare, None
        if not spare:
            return 0
        try:
            sent = socket.send_fds(spare.line, [line], [output])
            if sent < len(line):  # one that has it all may have hung up
                spare.line.sendall(line[sent:])
        except OSError:  # it was killed
            os.kill(spare.pid, signal.SIGKILL)  # not reaped yet, so the pid is its own
            return 0
        finally:
            spare.line.close()
        return spare.pid

    def leave(self) -> None:
        """Let go, in a child, of what is the server's."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self.control.close()
        for descriptor in (self.wake, self.waker):
            os.close(descriptor)


class Spare:
    """A child that was forked ahead, and the line by which it gets its request."""

    def __init__(self, pid: int, line: socket.socket):
        self.pid, self.line = pid, line


def receive(line: socket.socket) -> tuple[bytes, int]:
    """Wait for a request. Without one this child is not needed, and ends."""
    request, passed = b"", []
    while not request.endswith(b"\n"):
        data, descriptors, _, _ = socket.recv_fds(line, 65536, 1)
        if not data:
            os._exit(0)
        request += data
        passed += descriptors
    (output,) = passed
    return request, output


def drain(descriptor: int) -> None:
    """Empty a non-blocking pipe."""
    try:
        while os.read(descriptor, 512):
            pass
    except BlockingIOError:
        pass


def next_ended() -> int:
    """The pid of a child that has ended, not reaped yet; 0 if there is none.

    Until the leader is reaped nobody else can get its pid: the moment to end its group.
    """
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return 0
    try:
        os.killpg(ended.si_pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # a group of zombies only
    return ended.si_pid


def write_mark(path: str, pid: int) -> None:
    """Leave the pid where a SuperExec looks that did not live to hear of it."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(pid))
    except OSError:
        pass  # "started" says it too


def become_app(request, output: int) -> None:
    """Make this fork look like a process that was started for the app alone."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, descriptor)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    reseed()
    gc.unfreeze()
    if request["entry"] == SHORT_LIVED:
        keep_memory()
    if request.get("learn"):
        # Registered first, so it runs last, when the app has imported all it needs.
        atexit.register(write_learned, request["learn"], set(sys.modules), note_variables())


def keep_memory() -> None:
    """Have malloc keep what is freed, to give it out again.

    It would return large arrays to the kernel, which clears every page before it hands it out
    again: half of the CPU of an app that takes in a large model. Nothing is held for longer
    than the app lives, and it does not need more at its peak.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # not glibc
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)


def run_app(app) -> int:
    """Run the entry point; the exit status is what the interpreter would make of it."""
    try:
        code = app()
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001  what the interpreter does at top level
        sys.excepthook(*sys.exc_info())
        return 1
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def end_process(status: int) -> None:
    """End as the interpreter does, but leave the memory to the kernel.

    Waiting for threads, exit handlers and flushing are what an app can observe. Taking
    2,500 modules apart is not, costs 0.25 s of CPU, and copies every page it touches.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    if not flush_output():
        status = status or 120  # as the interpreter reports output it could not write
    os._exit(status)


def flush_output() -> bool:
    """Write what was printed and is still held. False if it failed.

    Only Python holds any: PYTHONUNBUFFERED, which all apps get, keeps C libraries from it.
    """
    written = True
    for stream in (sys.stdout, sys.stderr):
        if stream is None or getattr(stream, "closed", False):
            continue
        try:
            stream.flush()
        except Exception:  # noqa: BLE001  it may be anything that the app has put there
            written = False
    return written


def reseed() -> None:
    """Give global generators the fresh entropy that they take at import."""
    random.seed()
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed()


def note_variables() -> list[str]:
    """The environment variables that the app sets from now on, in a list that grows.

    Libraries read variables when they are imported. Imported ahead, they would miss those
    that the app sets for them.
    """
    names = []

    def hook(event: str, arguments) -> None:
        if event in ("os.putenv", "os.unsetenv") and is_of_app(sys._getframe(1)):
            names.append(os.fsdecode(arguments[0]))

    sys.addaudithook(hook)
    return names


def is_of_app(frame) -> bool:
    """Whether the app does this, itself or by a call, and not a library at its import."""
    while frame:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or file == __file__:
            return False
        if not (file.startswith("<frozen") or is_in_environment(file)):
            return True
        frame = frame.f_back
    return False


def write_learned(path: str, known: set[str], variables: list[str]) -> None:
    """Write the names of the installed modules that this process has imported itself.

    None of an app that sets variables: it needs its imports to come after that.
    """
    loaded = [(n, m) for n, m in list(sys.modules.items()) if n not in known]
    names = [n for n, m in loaded if is_installed(m)][:MAX_LEARNED]
    if variables:
        names = []
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(names, file)
        os.replace(temporary, path)
    except OSError:
        pass  # the next app learns it


def is_installed(module) -> bool:
    """Whether a module belongs to the Python environment and not to an app."""
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None)
    if not isinstance(origin, str) or spec.name == "__main__":
        return False
    return is_in_environment(origin)


def is_in_environment(path: str) -> bool:
    """Whether a file belongs to the Python environment."""
    return path.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep))


def say(control, **event) -> None:
    """Send one event."""
    try:
        control.sendall(json.dumps(event).encode() + b"\n")
    except OSError:
        pass  # the SuperExec is gone; its successor finds the apps by what it wrote down


if __name__ == "__main__":
    main()

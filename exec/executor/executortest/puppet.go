package executortest

// Puppet is an app that does what the first of its arguments says:
//
//	say TEXT    prints $WORD and the text, and "oops" to stderr, and exits with 7
//	crash       ends by SIGSEGV
//	listen      prints "up", and exits with 5 on SIGTERM
//	stubborn    prints the pid of a child that it has started; both ignore SIGTERM
//	leave PIPE  the same, but once it has read a line from the pipe it exits with 0 and leaves its child
//
// Shell is the puppet as a script; Python is the same as a module with a function main, which
// returns the exit status.
const (
	Shell = `#!/bin/sh
case "$1" in
say) echo "$WORD $2"; echo oops >&2; exit 7 ;;
crash) kill -SEGV $$; sleep 600 ;;
listen) trap 'exit 5' TERM; echo up; while :; do sleep 600 & wait; done ;;
stubborn) trap '' TERM; sleep 600 & echo $!; wait; sleep 600 ;;
leave) trap '' TERM; sleep 600 & echo $!; read _ < "$2" ;;
esac
`
	Python = `
import os, signal, subprocess, sys, time

def main():
    verb, text = sys.argv[1], sys.argv[2]
    if verb == "say":
        print(os.environ["WORD"], text, flush=True)
        print("oops", file=sys.stderr)
        return 7
    if verb == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if verb == "listen":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        print("up", flush=True)
        time.sleep(600)
    if verb == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
        time.sleep(600)
    if verb == "leave":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
        open(text).readline()
    return 0
`
)

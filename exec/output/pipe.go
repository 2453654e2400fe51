package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pipe is the reading end of an app's output.
type Pipe struct {
	path string
	file *os.File
}

// CreatePipe makes a named pipe and opens its reading end.
func CreatePipe(path string) (*Pipe, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make pipe %s for the output of an app: %w", path, err)
	}
	return OpenPipe(path)
}

// OpenPipe opens the reading end of an existing pipe, to go on after a restart.
func OpenPipe(path string) (*Pipe, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pipe %s for the output of an app: %w", path, err)
	}
	return &Pipe{path: path, file: os.NewFile(uintptr(fd), path)}, nil
}

// AppEnd opens what an app gets as stdout and stderr. It is open in both directions, which
// keeps the app from ever seeing a broken pipe. The caller closes it after the start.
func (p *Pipe) AppEnd() (*os.File, error) {
	// Not os.OpenFile: that would make it non-blocking, and the app would inherit that.
	fd, err := unix.Open(p.path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pipe %s for an app: %w", p.path, err)
	}
	return os.NewFile(uintptr(fd), p.path), nil
}

// Lines calls line for each line, without its line ending, until all writers are gone, Finish
// has taken effect, or reading fails. The slice is valid only during the call.
func (p *Pipe) Lines(line func([]byte)) error {
	reader := bufio.NewReaderSize(p.file, maxLine)
	for {
		text, err := reader.ReadSlice('\n')
		if len(text) > 0 {
			line(trimEnd(text))
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
			return nil
		default:
			return fmt.Errorf("read output of an app: %w", err)
		}
	}
}

// Finish says that the app has ended: Lines returns once it has read what is there.
func (p *Pipe) Finish() { _ = p.file.SetReadDeadline(time.Now().Add(drainLimit)) }

// Close closes the reading end; the app can go on, and OpenPipe can take over.
func (p *Pipe) Close() error { return p.file.Close() }

func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

package warm

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

type answer struct {
	pid    int
	exit   <-chan task.Exit
	detail string
}

type event struct {
	Event   string           `json:"event"`
	Failed  []string         `json:"failed"`
	Watch   map[string]int64 `json:"watch"`   // Unix nanoseconds; 0: no such folder
	Threads int              `json:"threads"` // that forks lack
	PID     int              `json:"pid"`
	Status  int              `json:"status"`
	Detail  string           `json:"detail"`
}

type request struct {
	Entry string            `json:"entry"`
	Argv  []string          `json:"argv"`
	Env   map[string]string `json:"env"`
	Mark  string            `json:"mark"`
	Learn string            `json:"learn,omitempty"`
}

// send writes the request with the output file attached to its first byte.
func (s *server) send(line []byte, output *os.File) error {
	n, _, err := s.conn.WriteMsgUnix(line, unix.UnixRights(int(output.Fd())), nil)
	if err != nil {
		return err
	}
	_, err = s.conn.Write(line[n:])
	return err
}

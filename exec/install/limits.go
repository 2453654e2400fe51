package install

import "time"

const (
	// limit is when an installation counts as done though nothing told so. Unpacking 10 MiB
	// takes a second and a cold start of Python ten on a small machine; the task itself must
	// have been started within 30 s of its claim or goes back to its host.
	limit = 30 * time.Second
)

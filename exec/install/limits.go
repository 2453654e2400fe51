package install

import "time"

const (
	// limit is when an installation counts as done although nothing has said so. Unpacking 10 MiB
	// takes a second, and a cold start of Python takes ten on a small machine; the task itself must
	// have been started within 30 s of its claim, or it goes back to its host.
	limit = 30 * time.Second
)

package apps

import "time"

const (
	// retryExpiry is the pause after the store failed to end overdue tasks (disk full).
	retryExpiry = 5 * time.Second
)

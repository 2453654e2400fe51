package admin

const (
	// maxBody bounds the body of a request on the admin socket, in bytes.
	maxBody = 64 << 10
	// statusRuns is how many finished runs a status shows.
	statusRuns = 20
)

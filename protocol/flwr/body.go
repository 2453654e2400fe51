package flwr

import (
	"io"
	"net/http"
	"time"
)

// progressBody is a request body whose sender may be slow but not silent: each read may take
// [IdleLimit].
type progressBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func newProgressBody(w http.ResponseWriter, body io.ReadCloser) io.ReadCloser {
	return &progressBody{body, http.NewResponseController(w)}
}

func (b *progressBody) Read(p []byte) (int, error) {
	// An error means a connection without deadlines (in a test), which then has no limit.
	_ = b.conn.SetReadDeadline(time.Now().Add(IdleLimit))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// The server goes on reading, to notice when the client abandons a held request.
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

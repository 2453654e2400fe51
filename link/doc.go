// Package link is a SuperLink as a whole: it puts the durable state, the overlay, the
// sessions of the nodes and Flower's HTTP APIs together, and runs them.
//
//	            HTTP                                     overlay
//	flwr ──► control ─┐                       ┌─ join (tickets), membership gate
//	apps ──► apps ────┼── state ── objects ───┼─ sessions        ── object exchange
//	stock ─► stock ───┘     │                 ├─ control for operators
//	SuperNodes              └─ keeping        └─ announcements
//
// It guarantees that a link that was killed at any moment continues from its data directory,
// and that [Link.Close] leaves nothing behind in the process. Whatever it answers is on disk
// before the answer goes out.
//
// It is not responsible for the command line, nor for serving [Link.AdminHandler] on a
// socket.
package link

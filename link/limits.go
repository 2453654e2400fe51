package link

import "time"

const (
	// minControlToken is how many bytes a control token has at least: 16 hexadecimal digits of
	// chance are beyond guessing over a network.
	minControlToken = 16
	// followRest is how many times as long as a load of the membership took nobody loads it again
	// for a change that the gate knows already: a fifth of the time goes into it while 10,000 nodes join.
	followRest = 4
	// maxNodes that a link can be told to have room for; 10,000 were tried.
	maxNodes = 100_000
	// tokenBytes of a ticket's secret: not to be guessed.
	tokenBytes = 32
	// tokenIDBytes of a ticket's id, which people type to revoke it.
	tokenIDBytes = 6
	// DefaultTicketLife is how long a ticket lets somebody in, if nothing else is said.
	DefaultTicketLife = 7 * 24 * time.Hour
	// maxTicketLife: a ticket that never ends is asked for by zero uses and no expiry;
	// beyond ten years it is a typing error.
	maxTicketLife = 10 * 365 * 24 * time.Hour
	// addressTimeout is how long a ticket waits for the first reservation at a relay of a
	// link that has just started.
	addressTimeout = 10 * time.Second
	// vouchAgain is the pause after a relay has refused to hear who the members are; that
	// changes when its operator does something, and costs one stream to find out.
	vouchAgain = time.Minute
	// maxAdminBody of a request on the admin socket.
	maxAdminBody = 64 << 10

	// statusRuns is how many finished runs a status shows.
	statusRuns = 20
)

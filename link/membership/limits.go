package membership

import "time"

const (
	// followRest is how many times as long as a load of the membership took nobody loads it again
	// for a change that the gate knows already: a fifth of the time goes into it while 10,000 nodes join.
	followRest = 4
	// tokenBytes of a ticket's secret: not to be guessed.
	tokenBytes = 32
	// tokenIDBytes of a ticket's id, which people type to revoke it.
	tokenIDBytes = 6
	// DefaultTicketLife is how long a ticket lets somebody in, if nothing else is said.
	DefaultTicketLife = 7 * 24 * time.Hour
	// maxTicketLife: every ticket ends, and one of more than ten years is a typing error.
	maxTicketLife = 10 * 365 * 24 * time.Hour
)

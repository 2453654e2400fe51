package membership

import "time"

const (
	// followRest is how long nobody reloads the membership for a change that the gate already knows,
	// as a multiple of the time that a load took: reloading takes a fifth of the time while 10,000
	// nodes join.
	followRest = 4
	// tokenBytes is the length of a ticket's secret: too long to be guessed.
	tokenBytes = 32
	// tokenIDBytes is the length of a ticket's id, which people type to revoke it.
	tokenIDBytes = 6
	// DefaultTicketLife is how long a ticket lets peers in, unless the request says otherwise.
	DefaultTicketLife = 7 * 24 * time.Hour
	// maxTicketLife: every ticket ends, and one of more than ten years is a typing error.
	maxTicketLife = 10 * 365 * 24 * time.Hour
)

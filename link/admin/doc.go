// Package admin tells the administrators of a link the state that it is in, and does what they
// ask: status, tickets, members, backups.
//
//	admin socket ──► Handler ─────────► everything
//	overlay ───────► ObserverHandler ─► the status; observers do not see who and where the
//	                                    members are
//
// It guarantees that the status is what the link knows at that moment and not what was once
// written down, that it says of each unfinished run what it is waiting for, and that an observer
// learns no peer id, address or name of a member from it.
//
// It is not responsible for who may ask: whoever reaches the admin socket may do everything,
// and package membership looks up the roles of those who come through the overlay. The format
// of a backup is package backup's, since it is read where no link is.
package admin

import "github.com/rhizome-fl/rhizome/internal/logs"

var log = logs.For("link/admin")

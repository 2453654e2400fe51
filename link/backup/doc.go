// Package backup writes a running link into one file and turns that file back into a data directory.
//
// The file is a tar archive:
//
//	manifest.json   what it is, of which link, and from when
//	state.db        the database as of one moment
//	objects/<id>    objects that the unfinished runs of that moment hold
//	identity, port  who the link is, and where it listens
//	checksums.json  SHA-256 of everything before it; its presence shows that the file is whole
//
// It guarantees that a file is either whole or refused, that everything in it belongs together,
// and that a data directory appears under its name only once all of it is there and verified. The
// file holds the link's private key: it is as secret as the data directory.
//
// It is not responsible for what happened at the link after the backup: at their next session
// nodes are told that nobody is waiting for it. Nor does it prevent two links from running with
// one identity at once, which must not happen.
package backup

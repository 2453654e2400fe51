// Package backup writes a running link into one file and makes a data directory of it again.
//
// The file is a tar archive:
//
//	manifest.json   what it is, of which link, since when
//	state.db        the database as of one moment
//	objects/<id>    objects that the unfinished runs of that moment hold
//	identity, port  who the link is, and where it listens
//	checksums.json  SHA-256 of all before; its presence shows that the file is whole
//
// It guarantees that a file is either whole or refused, that everything in it belongs
// together, and that a data directory appears under its name only when all of it is there
// and verified. The file holds the link's private key: it is as secret as the data directory.
//
// It is not responsible for what happened at the link after the backup: nodes are told at
// their next session that nobody waits for it. Nor for two links of one identity at once,
// which must not be.
package backup

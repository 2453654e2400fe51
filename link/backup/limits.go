package backup

const (
	// maxTries bounds how often a backup begins again because a run ended while it was being
	// copied, and took its objects away.
	maxTries = 5
	// maxSmall bounds, in bytes, the files that are read into memory: manifest, identity, port.
	maxSmall = 64 << 10
	// maxChecksums bounds the list of checksums, in bytes: 100 for each of half a million objects.
	maxChecksums = 64 << 20
)

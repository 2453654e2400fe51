package backup

const (
	// maxTries bounds how often a backup begins again because a run ended while it was
	// copied, and took its objects away.
	maxTries = 5
	// maxSmall bounds the files that are read into memory: manifest, identity, port.
	maxSmall = 64 << 10
	// maxChecksums bounds the list of checksums: 100 bytes for each of half a million objects.
	maxChecksums = 64 << 20
)

package datadir

const (
	// maxMarker bounds what is read of the marker and of the lock file, each of which is one line.
	maxMarker = 4 << 10
)

package fab

const (
	// maxPyproject bounds the unpacked pyproject.toml; real ones have a few kilobytes.
	maxPyproject = 1 << 20
	// maxEntries and maxUnpacked bound what a bundle of at most 10 MiB may become on every
	// node. Flower stores files uncompressed and keeps code and text only, so an honest
	// bundle does not grow at all.
	maxEntries  = 10_000
	maxUnpacked = 100 << 20
	// maxPath is what file systems take in one path.
	maxPath = 1024
	// maxKeys bounds a configuration, since it travels with every task.
	maxKeys = 10_000
	// maxDepth bounds nested tables: each level costs a stack frame.
	maxDepth = 64
)

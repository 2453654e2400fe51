package fab

const (
	// MaxSize is Flower's own bound on an app bundle, checked by flwr build, flwr run and a
	// stock SuperLink.
	MaxSize = 10 << 20
	// maxPyproject bounds the unpacked pyproject.toml; real ones take a few kilobytes.
	maxPyproject = 1 << 20
	// maxEntries and maxUnpacked bound what a bundle of MaxSize may become on every
	// node. Flower stores files uncompressed and keeps code and text only, so an honest
	// bundle does not grow at all.
	maxEntries  = 10_000
	maxUnpacked = 100 << 20
	// maxPath is the longest path that file systems accept.
	maxPath = 1024
	// maxKeys bounds a configuration, since it travels with every task.
	maxKeys = 10_000
	// maxDepth bounds nested tables: each level costs a stack frame.
	maxDepth = 64
)

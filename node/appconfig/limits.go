package appconfig

const (
	// maxPyproject bounds the unpacked pyproject.toml of a bundle. Real ones have a few
	// kilobytes; the bundle itself may claim gigabytes.
	maxPyproject = 1 << 20
	// maxConfigFile bounds a configuration file that the operator names.
	maxConfigFile = 1 << 20
	// maxKeys bounds the flattened keys of one configuration, since they travel with every
	// task to the app.
	maxKeys = 10_000
	// maxDepth bounds nested tables: each level costs a stack frame.
	maxDepth = 64
)

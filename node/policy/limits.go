package policy

const (
	// maxFile bounds the file of trusted entities that the operator names: thousands of keys.
	maxFile = 1 << 20
)

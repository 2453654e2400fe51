package ticket

const (
	// maxLine of a printable ticket: the fields below at their longest, in base64.
	maxLine = 16 << 10
	// maxAddrs: a link names a dozen; each is dialled.
	maxAddrs = 32
	// maxAddr in bytes: a DNS name of 255, and a relay's peer id.
	maxAddr = 512
	// maxText of federation and token id, in bytes.
	maxText = 128
	// maxSecret in bytes; links make 16.
	maxSecret = 64
)

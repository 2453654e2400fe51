package ticket

const (
	// maxLine bounds a printable ticket: the fields below at their longest, in base64.
	maxLine = 16 << 10
	// maxAddrs bounds the addresses, each of which is dialled; a link names a dozen.
	maxAddrs = 32
	// maxAddr bounds an address in bytes: a DNS name of 255, and a relay's peer id.
	maxAddr = 512
	// maxText bounds the federation and the token id, in bytes.
	maxText = 128
	// maxSecret bounds the secret, in bytes; links make 16.
	maxSecret = 64
)

package delimited

// firstStep is how much memory is allocated on the word of a length alone. The rest is
// allocated as the bytes arrive, so that sixteen bytes from a stranger do not cost 16 MiB.
const firstStep = 64 << 10

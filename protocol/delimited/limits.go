package delimited

// firstStep is how much memory a length alone is believed for. The rest is taken as the
// bytes come, so that sixteen bytes from a stranger do not cost 16 MiB.
const firstStep = 64 << 10

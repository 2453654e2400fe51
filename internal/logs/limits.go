package logs

// maxValue bounds the text of one value in bytes: errors quote what strangers send, and the last words of a program
// are as long as it likes. A stack trace still fits.
const maxValue = 16 << 10

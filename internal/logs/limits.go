package logs

// maxValue bounds the text of one value in bytes: errors quote what strangers send, and a program's last words can be of
// any length. A stack trace still fits.
const maxValue = 16 << 10

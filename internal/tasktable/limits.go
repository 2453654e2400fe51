package tasktable

// maxDetails bounds the text that says how a task ended: a traceback, not a log.
const maxDetails = 16 << 10

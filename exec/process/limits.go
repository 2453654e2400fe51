package process

import "time"

// lookInterval is how often a process is looked up where the kernel cannot report its end.
// Once a second goes unnoticed even on an idle machine, and it concerns only processes that
// outlived the program that started them.
const lookInterval = time.Second

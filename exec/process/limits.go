package process

import "time"

// lookInterval is how often a process is looked up where the kernel cannot tell us that it
// ended. Once a second is what an idle machine does not notice, and the wait concerns only
// processes that outlived the program that started them.
const lookInterval = time.Second

package exec

import "github.com/rhizome-fl/rhizome/internal/logs"

var log = logs.For("exec")

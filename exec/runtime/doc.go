// Package runtime is the Runtime API server of Flower, which app processes and a SuperExec
// talk to by HTTP. A SuperLink and a SuperNode both mount it; each gives it a [Host].
package runtime

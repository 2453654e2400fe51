// Package runtimeapi is the Runtime API server of Flower, which app processes and a SuperExec
// talk to by HTTP. A SuperLink and a SuperNode both mount it; each gives it a [Host].
//
// It guarantees that a Host sees only well-formed, authenticated requests of compatible
// clients; that a request which waits is kept alive; and that object contents pass as
// streams. What a route means is the Host's business, and so are durability and bounds on
// what is stored. TLS, and who can reach the address at all, is that of whoever serves it.
package runtimeapi

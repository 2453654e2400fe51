// Package runtimeapi is the server of Flower's Runtime API, which app processes and a SuperExec
// use over HTTP. A SuperLink and a SuperNode both mount it; each provides it with a [Host].
//
// It guarantees that a Host sees only well-formed, authenticated requests of compatible
// clients; that a waiting request is kept alive; and that object contents are passed on as
// streams. What a route means is the Host's business, and so are durability and bounds on
// what is stored. TLS, and who can reach the address at all, are up to whoever serves it.
package runtimeapi

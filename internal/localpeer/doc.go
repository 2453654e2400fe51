// Package localpeer keeps a loopback port for those whom it is meant for.
//
// Flower's tools speak plain HTTP to 127.0.0.1 and show nothing that says who they are. That
// is open to two kinds of strangers: other users of the machine, whose processes reach the
// port as well, and web pages, whose scripts a browser of the right user runs (by a request
// to another site, or by a name that is made to resolve to 127.0.0.1). [Guard] asks the kernel
// for the user of the socket at the other end, and looks at the headers that a browser cannot
// be made to forge.
//
//	connection ──► whose socket is it?        own user, root, those allowed ──┐
//	request    ──► Host: loopback, an address, a known name?                  ├──► handler
//	               Origin, Sec-Fetch-Site: none, or this very site? ──────────┘
//
// It guarantees that a request which it lets through from a loopback address was made by a
// process of an allowed user, on systems where the kernel tells (Linux; [Supported]), and
// that no web page of another origin made it. What cannot be found out is refused.
//
// It is not responsible for requests from other machines: who they are is shown by TLS and
// tokens. It knows nothing of what is served.
package localpeer

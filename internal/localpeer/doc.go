// Package localpeer keeps a loopback port for those it is meant for.
//
// Flower's tools speak plain HTTP to 127.0.0.1 and send nothing that says who they are. That
// leaves the port open to two kinds of strangers: other users of the machine, whose processes can
// reach it as well, and web pages, whose scripts run in the browser of the right user (through a
// request to another site, or through a name that is made to resolve to 127.0.0.1). [Guard] asks
// the kernel for the user of the socket at the other end, and looks at the headers that a browser
// cannot be made to forge.
//
//	connection ──► whose socket is it?        own user, root, those allowed ──┐
//	request    ──► Host: loopback, an address, a known name?                  ├──► handler
//	               Origin, Sec-Fetch-Site: none, or this very site? ──────────┘
//
// It guarantees that a request from a loopback address which it lets through was made by a
// process of an allowed user, on systems whose kernel tells (Linux; [Supported]), and
// that no web page of another origin made it. If that cannot be established, the request is
// refused.
//
// It is not responsible for requests from other machines: TLS and tokens show who they are from.
// It knows nothing of what is served.
package localpeer

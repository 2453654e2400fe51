// Package nat tests Rhizome where it will be used: it runs the real binary with each party in
// its own network, behind every usual kind of NAT and firewall, in the namespaces of
// internal/natlab. It also measures: with RHIZOME_CONNECTIVITY=1 (make connectivity) it takes
// longer, and rewrites the tables of docs/connectivity.md with what it saw.
//
// The tests assert outcomes (a session, a direct path, every byte) and log times; a test that
// waits gives up only when a user would have. They need Linux with ip, nft and namespaces, as
// root or through a user namespace; without these they are skipped and say why. Those that
// move models also need the Python environment of `make venv`.
package nat

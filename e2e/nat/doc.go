// Package nat tests Rhizome where it will be used: the real binary, each party in a network
// of its own, behind every usual kind of NAT and firewall, in the namespaces of
// internal/natlab. It also measures: RHIZOME_CONNECTIVITY=1 (make connectivity) takes longer, and
// rewrites the tables of docs/connectivity.md with what it saw.
//
// The tests assert outcomes (a session, a direct path, every byte) and log times; a test
// that waits gives up only when a user would have. They need Linux with ip, nft and
// namespaces, as root or by a user namespace, and are skipped with the reason without;
// those that move models need the Python environment of `make venv` as well.
package nat

// Package world is the harness of the end-to-end tests: it builds the binary, starts daemons
// of ours and of stock Flower in a folder of the test, drives the stock flwr command, and
// checks at the end that no process is left.
//
// Each world has its own data folders, ports and FLWR_HOME. All its processes, and what they
// start, carry the world's mark in their environment; that is how they are found, also when
// they were adopted by init. The package is not responsible for what is tested with it.
package world

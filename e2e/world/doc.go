// Package world is the harness of the end-to-end tests: it builds the binary, starts our
// daemons and those of stock Flower in a folder of the test, drives the stock flwr command,
// and checks at the end that no process is left.
//
// Each world has its own data folders, ports and FLWR_HOME. All its processes, and whatever
// they start, carry the world's mark in their environment; this is how they are found, even
// after init has adopted them. What is tested with the package is not its responsibility.
package world

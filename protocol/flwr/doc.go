// Package flwr is Flower's HTTP protocol as spoken by flwr 1.40 to 1.42: the messages
// (package flwrpb below), how they travel, the error catalogue, and the names and numbers
// that both ends must agree on. The facts are those observed of flwr 1.41.
//
// It guarantees that what passes through keeps its unknown fields and the presence of its
// optional ones, that object contents pass as streams and are never held whole, and that
// every body has a bound.
//
// It is not responsible for routes, authentication or state: see exec/runtime, link/control
// and link/fleet.
package flwr

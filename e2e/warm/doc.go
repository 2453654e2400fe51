// Package warm tests what warm starts promise, with the real binary and the real flwr: that only
// the clock can tell them from cold ones, that they follow what changes under them, and that
// apps which misbehave are bounded while the runs beside them notice nothing.
package warm

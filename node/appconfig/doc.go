// Package appconfig builds the two configurations that a ClientApp finds in its context:
// the node configuration, which the operator of a node gives on the command line, and the
// run configuration, which combines the defaults in an app's bundle (FAB) with the
// overrides of the user who started the run.
//
// It guarantees that whatever it returns can be sent as Flower scalars: bool, int64,
// float64 and string, with nested tables flattened to keys joined by dots. A bundle is a
// stranger's file: reading it is bounded in memory and never writes anything.
//
// It is not responsible for checking overrides against the defaults (the SuperLink does
// that before a run exists), for reading bundles (package protocol/fab), or for verifying
// who signed a bundle (package node/policy).
package appconfig

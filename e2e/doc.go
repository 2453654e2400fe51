// Package e2e tests Rhizome from the outside: the real binary, the real flwr command and real
// Python apps, over real sockets on one machine. It also runs stock Flower, both to compare
// results and to mix the two.
//
// It needs a Python environment with flwr, numpy and scikit-learn, made by `make venv` or
// named by RHIZOME_TEST_VENV; without one the tests fail. Each test has its own data folders,
// ports and FLWR_HOME, and is checked at its end to have left no process behind.
//
// Tests that promise a time run first, one after the other. The rest then run side by side:
// stock Flower spends most of its time waiting.
package e2e

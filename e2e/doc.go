// Package e2e tests Rhizome from the outside: the real binary, the real flwr command and
// real Python apps, over real sockets of one machine. It also runs stock Flower, to compare
// results and to mix both.
//
// It needs a Python environment with flwr, numpy and scikit-learn, made by `make venv` or
// named by RHIZOME_TEST_VENV; without one the tests fail. Each test has its own data
// folders, ports and FLWR_HOME, and leaves no process behind: that is checked at its end.
//
// Tests that promise a time run one after the other, before the others, which run side by
// side: stock Flower mostly waits.
package e2e

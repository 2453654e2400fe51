// Package swarm tests the exchange of objects between nodes with real processes in a lab of
// network namespaces: how long a model takes to reach them all, what the link's line carries,
// and which nodes learn of which. The test plays the ServerApp; no Python is needed.
package swarm

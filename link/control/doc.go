// Package control is the Control API of a SuperLink: what the stock flwr command talks to.
//
// Runs, logs, nodes and the one federation are real. What belongs to agents, automations,
// connectors, Flower Hub and to several federations is answered as a stock SuperLink
// without them answers: 501 code 1. There is no user authentication, as in stock Flower
// without its enterprise part: whoever reaches the address is the account "none".
//
// It guarantees that a run id that was answered is on disk with its bundle. Logs are
// pushed, not polled for.
//
// It is not responsible for reaching the address (loopback, TLS, or operators through the
// overlay), nor for what a stop or a removal does to nodes: the state's bell tells others.
package control

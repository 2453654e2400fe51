// Package control is the Control API of a SuperLink: what the stock flwr command talks to.
//
// Runs, logs, nodes and the one federation are real. Requests about agents, automations,
// connectors, Flower Hub and multiple federations are answered as by a stock SuperLink without
// them: 501 code 1. As in stock Flower without its enterprise part, there is no user
// authentication: anyone who reaches the address is the account "none".
//
// It guarantees that by the time it answers with a run id, the run and its bundle are on disk.
// Logs are pushed, not polled for.
//
// It is not responsible for who can reach the address (loopback, TLS, or operators through the
// overlay), nor for what a stop or a removal does to nodes: the state's bell tells the others.
package control

// Package flwr is Flower's HTTP protocol.
package flwr

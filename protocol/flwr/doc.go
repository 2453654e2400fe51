// Package flwr is Flower's HTTP protocol: messages (generated, in flwrpb), routes, headers,
// the error catalogue, and the coding of requests, answers and streams.
//
// What it guarantees:
//   - A malformed request (content type, size, protobuf) ends with the catalogue's code, and
//     nothing else happens.
//   - An error that is not an [*Error] is answered with 503, on which every client of Flower
//     tries again. No 500 leaves the package: a single one ends a stock SuperNode for good.
//   - The contents of objects are never held in memory: they are read from and written to
//     the socket as they come.
//   - A client that stops sending or receiving is cut off after [IdleLimit]; a client that is
//     merely slow is not.
//
// It is not responsible for who may ask (internal/runtimeapi, link/control, link/stock), for TLS
// or for listening.
package flwr

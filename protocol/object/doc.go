// Package object is Flower's object model: the byte form from which ids are computed, trees of
// ids, and the one kind of object that Rhizome makes itself, Messages that carry an error.
//
// An object's byte form is a header, a zero byte and a body:
//
//	<type> SP <ids of the distinct direct children, joined by commas> SP <body length> NUL <body>
//
// Its id is the lowercase hexadecimal SHA-256 of the whole byte form. The id of a Message
// object is the message id. A FAB is not an object in this sense, but is named the same way.
//
// The package guarantees that what it parses is bounded (limits.go) and that what it
// builds has the id that any implementation of Flower computes for those bytes. It is not
// responsible for storing or moving objects (package p2p/objects), and does not look into
// bodies: to a SuperLink they are opaque.
package object

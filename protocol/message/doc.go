// Package message is one message of Flower as it travels, an instruction or a reply: its
// routing facts, its bytes as the app wrote them, and the objects that it consists of.
//
// Whoever takes a message from somebody else parses it here, whatever road it came by: the
// Runtime API of a link or a node, a session, the Fleet API. There is one rulebook, and
// each rule is a small function in a file of its own.
//
//	bytes ──► size ──► fields and nesting counted ──► decoded ──► rules ──► Message
//	                   on the wire
//
// What the package guarantees:
//   - Nothing is decoded before its fields, its nesting and its objects were counted on the
//     wire. A refusal costs no more memory than the bytes that were refused.
//   - What is accepted can be read by the protobuf library of Python, also inside the answer
//     to a pull, where one message that cannot be read spoils all the others.
//   - The bytes that come in are the bytes that go out. Fields that Rhizome does not know
//     survive.
//   - The routing facts of a reply are those of the instruction that it answers and of who
//     sent it. A reply that says something else is refused.
//
// It is not responsible for whether anybody waits for a message, for objects (their bytes
// need not be there yet), nor for what they say. It knows no store, no session, no HTTP and
// no clock: the caller hands in what it knows.
package message

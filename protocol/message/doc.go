// Package message is one message of Flower as it travels, an instruction or a reply: its
// routing facts, its bytes as the app wrote them, and the objects that it consists of.
//
// Whoever accepts a message from somebody else parses it here, whichever way it came: through
// the Runtime API of a link or a node, a session, or the Fleet API. There is one rulebook, and
// each rule is a small function in a file of its own.
//
//	bytes ──► size ──► fields and nesting counted ──► decoded ──► rules ──► Message
//	                   on the wire
//
// What the package guarantees:
//   - Nothing is decoded before its fields, its nesting and its objects have been counted on the
//     wire. A refusal costs no more memory than the bytes that were refused.
//   - Whatever is accepted can be read by Python's protobuf library, even inside the answer
//     to a pull, where one unreadable message spoils all the others.
//   - The bytes that come in are the bytes that go out. Fields that Rhizome does not know
//     survive.
//   - The routing facts of a reply are those of the instruction that it answers and of whoever
//     sent it. A reply that says anything else is refused.
//
// It is not responsible for whether anybody waits for a message, for objects (their bytes
// need not have arrived yet), or for what they say. It knows no store, no session, no HTTP and
// no clock: the caller passes in what it knows.
package message

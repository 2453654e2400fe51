// Package state is the durable state of a SuperNode: what it has taken in and owes a reply
// to, the contexts of run series, the tasks of its ClientApps, the replies that the
// SuperLink has not confirmed, and who it is. The life of a message is drawn beside [State].
//
// It guarantees:
//   - What a method reports as done is on disk; after a kill at any moment, the next Open
//     finds the state from before or after each call, never anything in between.
//   - A waiting message stays until it is answered or its run is dropped.
//   - What a run is, its bundle first of all, does not change from its first message until it is dropped.
//   - A message is leased only if the site's policy has allowed its run with this very bundle, and such
//     a decision never changes.
//   - A message has at most one reply: the first that Answer, AnswerWithError or Refuse makes
//     final. The reply, the end of the task and the new context of the series take effect together.
//   - Tasks of one run series are worked on one after the other, so each starts from the
//     context that the previous one left. Otherwise runs take turns.
//   - An object is removed only when nothing here refers to it any more.
//
// It is not responsible for fetching objects (package messages), for talking to the
// SuperLink (package session) or to apps (package apps).
package state

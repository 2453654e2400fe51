// Package ticket is the one line that lets somebody join a federation: who the link is,
// where it may be reached, and a token that makes the bearer a member.
//
// A ticket is signed by the link's identity key, so that it holds what the link wrote or
// nothing at all: a truncated line, a changed byte, or another address slipped in by whoever
// passed it on is an error of [Parse]. It is a secret, since its bearer can join.
//
// The package is not responsible for whether a token is still valid; the link decides that
// when the token is presented (package join).
package ticket

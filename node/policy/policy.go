// Package policy is the site's word: what the people who run this node allow, whatever the
// SuperLink asks for. Today it decides one thing, whether an app may run here: a node that
// was given trusted entities (`--trusted-entities`) runs only bundles (FABs) that one of
// them has signed. A node that was given none runs every app of its SuperLink.
//
// The office of messages (package messages) is the only caller. It asks about each app, which
// is a run with one bundle, before any message of it may reach a ClientApp, and it keeps the
// answer in package state beside the policy's fingerprint: the same policy is not asked twice,
// and a changed one is asked again.
//
// It guarantees that a bundle is accepted only with a valid Ed25519 signature, by a listed
// key, over the very bytes that will run (their SHA-256) and the time of signing; and that
// policies of one fingerprint decide alike.
//
// It must never know of messages, tasks, sessions, or where anything is stored. It is not
// responsible for what a trusted app does, for the age of a signature, nor for the licence
// that a hub attests beside it: that is only required to be present, as stock Flower does.
package policy

import (
	"context"
	"io"
)

// Reason is the text of the error reply (code 7) to a message of an app that may not run.
// What the site thinks of an app in detail stays at the site, in [Decision.Reason].
const Reason = "The FAB could not be verified."

// Policy decides which apps may run on this node. It may be asked concurrently.
type Policy interface {
	// Fingerprint names everything that the decisions depend on, apart from the app: a
	// policy that might decide otherwise has another one.
	Fingerprint() string
	// Decide says whether an app may run. An error says that it cannot tell, and then the
	// app does not run.
	Decide(ctx context.Context, app App) (Decision, error)
}

// App is what a decision is about.
type App struct {
	RunID uint64
	// Hash is the SHA-256 of the whole bundle in hexadecimal digits. Bundle was found to have it.
	Hash   string
	Bundle io.ReaderAt
	Size   int64
	// Verifications are what the SuperLink says others attest about the bundle. The
	// SuperLink may be hostile.
	Verifications map[string]string
}

// Decision is what the site's policy says about an app.
type Decision struct {
	Allowed bool
	// Rule is the name of the rule that decided.
	Rule string
	// Reason is why the app may not run, for the people of this site.
	Reason string
}

// Package messages brings messages and their objects together on a SuperLink.
//
// A sender names a message and its tree first and sends the objects afterwards, and only
// those that the link lacks. A message becomes visible to its receiver when all of it is
// on disk:
//
//	       Instructions, Reply                 last object stored
//	(new) ─────────────────────► gathering ───────────────────────► waiting
//	  │                              │ run ends, message expires
//	  │ nothing is missing           └──────────► (forgotten)
//	  └─────────────────────────────────────────────────────────► waiting
//
// Objects are registered for the run before anything else, so that none of them is removed
// while the message is on its way. Every step may be repeated; after a crash [Intake.Resume]
// goes on where the disk says.
//
// The package serves both the Runtime API (instructions of a ServerApp) and the Fleet API
// (replies of a stock SuperNode). It is not responsible for what a message must look like.
package messages

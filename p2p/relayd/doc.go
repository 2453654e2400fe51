// Package relayd is a relay as a daemon: a host that others can dial, the relay service of
// package relay on it, answers for doctors, and metrics.
//
//	members ══► host ══► relay service ══► host ══► links and members
//	doctors ══► host ──► doctor
//	Prometheus ─► metrics      rhizome status ─► AdminHandler
//
// It guarantees that nobody is relayed for whom neither the configuration nor an allowed link
// vouches, unless it was opened to everybody in so many words.
//
// It is a daemon like SuperLink and SuperNode, made of the rooms of p2p and standing above
// their assembly; nothing in p2p imports it. It is not responsible for the command line, nor
// for serving [Daemon.AdminHandler] on a socket.
package relayd

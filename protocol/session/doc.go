// Package session is the framing between SuperNode and SuperLink.
package session

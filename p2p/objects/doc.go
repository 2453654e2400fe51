// Package objects keeps content-addressed objects on disk and moves them between peers.
package objects

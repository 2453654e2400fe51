// Package fab reads Flower App Bundles: zip files with a pyproject.toml, sent by whoever
// submits a run.
//
// A bundle is a stranger's file. Reading one never writes anything, holds at most the
// unpacked pyproject.toml in memory, and refuses anything that would do harm where it is
// unpacked: paths that leave the folder, links, contents that inflate beyond bounds, and
// archives in which another reader could find another app (layout.go).
//
// It is not responsible for who may run an app, nor for the Python inside.
package fab

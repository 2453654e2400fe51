// Package output takes what app processes print, keeps it in bounded files and shows it
// line by line to whoever asks.
//
// An app writes into a named pipe that it holds open itself for both reading and writing, so
// it never sees a broken pipe: when the SuperExec dies, the app goes on (it waits if it prints
// more than the pipe holds) until the successor opens the pipe again by its name.
//
// Guarantees: an app that prints without end fills neither memory nor disk; the lines of one
// app keep their order; reading goes on as long as the app lives, whatever happens to the
// files (a full disk costs the log, not the app).
//
// It is not responsible for sending lines anywhere.
package output

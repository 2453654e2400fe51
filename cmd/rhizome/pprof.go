package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/daemon"
)

// pprofFlag defines the flag for where a daemon serves profiles of itself; see docs/profiling.md.
func pprofFlag(cmd *cobra.Command, target *string) {
	cmd.Flags().StringVar(target, "pprof", "", "serve profiles of this process at this `host:port`, on loopback only")
}

// checkPprof refuses an address that other machines could reach: profiles show what is in memory
// to whoever asks.
func checkPprof(address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError{fmt.Errorf("--pprof: %v", err)}
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return usageError{fmt.Errorf("--pprof %s: profiles are served on loopback only, such as 127.0.0.1:6060", address)}
	}
	return nil
}

// servePprof serves profiles until ctx ends.
func servePprof(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return daemon.ServeHTTP(ctx, listener, mux)
}

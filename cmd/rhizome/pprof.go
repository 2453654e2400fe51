package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/cobra"
)

// pprofReadLimit ends connections to the profiling port that send no request.
const pprofReadLimit = 10 * time.Second

// pprofFlag is where a daemon serves profiles of itself; see docs/profiling.md.
func pprofFlag(cmd *cobra.Command, target *string) {
	cmd.Flags().StringVar(target, "pprof", "", "serve profiles of this process at this `host:port`, on loopback only")
}

// listenPprof opens the port for profiles, if there is to be one. Profiles show what is in
// memory to whoever asks, so nothing but loopback is taken.
func listenPprof(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("--pprof: %v", err)}
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, usageError{fmt.Errorf("--pprof %s: profiles are served on loopback only, such as 127.0.0.1:6060", address)}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve profiles: %w", err)
	}
	return listener, nil
}

// servePprof serves until ctx ends; a nil listener serves nothing.
func servePprof(ctx context.Context, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: pprofReadLimit}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve profiles: %w", err)
	}
	return nil
}

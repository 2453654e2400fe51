package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/rhizome-fl/rhizome/internal/admin"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/ticket"
)

const (
	// observeLimit is how long a look at a far link may take, joining included.
	observeLimit = 30 * time.Second
	// maxFarStatus bounds the status of a far link; one of 10,000 nodes is about 5 MiB.
	maxFarStatus = 64 << 20
)

// observe asks a far link how it stands, once, as a member with the role observer or
// operator. The data directory keeps the identity that joined.
func observe(cmd *cobra.Command, data, join string) (raw json.RawMessage, err error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), observeLimit)
	defer cancel()
	roles := []string{ticket.RoleObserver, ticket.RoleOperator}
	parsed, err := parseJoin(join, data, roles...)
	if err != nil {
		return nil, err
	}
	dir, err := datadir.Open(data, "proxy")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	overlay := overlayOptions{listen: []string{"none"}}
	cfg, err := overlay.config(dir, p2p.Leaf)
	if err != nil {
		return nil, err
	}
	host, err := p2p.NewHost(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	target, err := reach(ctx, parsed, dir, host, roles...)
	if err != nil {
		return nil, err
	}
	return farStatus(ctx, host, target.Peer)
}

// farStatus asks a link through the overlay.
func farStatus(ctx context.Context, host *p2p.Host, id peer.ID) (json.RawMessage, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return host.DialStream(ctx, id, link.StatusProtocol)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://link/status", nil)
	if err != nil {
		return nil, err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask SuperLink %s: %w", id, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxFarStatus))
	if err != nil {
		return nil, fmt.Errorf("read the status of SuperLink %s: %w", id, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return body, nil
	case http.StatusForbidden:
		return nil, fmt.Errorf("SuperLink %s: this peer is neither an observer nor an operator of it", id)
	default:
		return nil, fmt.Errorf("SuperLink %s answers %s", id, res.Status)
	}
}

// farStatusHandler lets `rhizome status` ask through a proxy that runs.
func farStatusHandler(host *p2p.Host, id peer.ID) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := farStatus(r.Context(), host, id)
		if err != nil {
			admin.WriteError(w, http.StatusBadGateway, err)
			return
		}
		admin.WriteJSON(w, status)
	})
	return mux
}

// knowsFarLink tells whether a data directory is that of an observer, or of a proxy that
// does not run.
func knowsFarLink(data string) bool {
	_, err := os.Stat(filepath.Join(data, targetFile))
	return err == nil
}

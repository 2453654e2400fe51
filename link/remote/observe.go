package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

// Observe asks a remote link for its status, once, as a member with the role observer or
// operator. It listens nowhere.
func Observe(ctx context.Context, cfg Config) (raw json.RawMessage, err error) {
	ctx, cancel := context.WithTimeout(ctx, observeLimit)
	defer cancel()
	cfg.Overlay.NoListen = true
	observer, err := newPeer(cfg, join.RoleObserver, join.RoleOperator)
	if err != nil {
		return nil, err
	}
	data, overlay, link := observer.steps()
	if err := observer.daemon.Open(ctx, data, overlay, link); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, observer.daemon.Close()) }()
	return askStatus(ctx, observer.host, observer.link.Peer)
}

// askStatus asks a link through the overlay.
func askStatus(ctx context.Context, host *p2p.Host, id peer.ID) (json.RawMessage, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return host.DialStream(ctx, id, StatusProtocol)
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
	body, err := io.ReadAll(io.LimitReader(res.Body, maxStatus))
	if err != nil {
		return nil, fmt.Errorf("read the status of SuperLink %s: %w", id, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return body, nil
	case http.StatusForbidden:
		return nil, fmt.Errorf("SuperLink %s: this peer is neither one of its observers nor one of its operators", id)
	default:
		return nil, fmt.Errorf("SuperLink %s answered %s", id, res.Status)
	}
}

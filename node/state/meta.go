package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Identity is who the node is and where it belongs. It is written once and changes rarely.
type Identity struct {
	// NodeID is the id that the SuperLink has given this node; 0 before the first session.
	NodeID uint64 `json:"node_id"`
	// RuntimePort is the port of the Runtime API on loopback; 0 before it is chosen.
	RuntimePort int `json:"runtime_port"`
	// Link is the peer id of the SuperLink; empty before the node is told.
	Link string `json:"link"`
	// LinkAddrs are the addresses to try, as multiaddrs.
	LinkAddrs []string `json:"link_addrs"`
	// Federation is the SuperLink's name for its federation.
	Federation string `json:"federation"`
	// Joined says that the SuperLink has let this peer in.
	Joined bool `json:"joined"`
	// TokenID is the id of the ticket's token with which the node joined, if any.
	TokenID string `json:"token_id,omitempty"`
	// Swarm: the ticket said that nodes of the federation exchange objects, and therefore see
	// each other's addresses. Whoever joined with it knew.
	Swarm bool `json:"swarm,omitempty"`
}

// Identity reads who the node is; it returns the zero value for a new data directory.
func (s *Store) Identity(ctx context.Context) (Identity, error) {
	var id Identity
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		id, err = readIdentity(tx)
		return err
	})
	if err != nil {
		return Identity{}, fmt.Errorf("read node identity: %w", err)
	}
	return id, nil
}

// UpdateIdentity changes who the node is, in one step.
func (s *Store) UpdateIdentity(ctx context.Context, change func(*Identity)) (Identity, error) {
	var id Identity
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		var err error
		if id, err = readIdentity(tx); err != nil {
			return err
		}
		change(&id)
		value, err := json.Marshal(id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO meta (key, value) VALUES ('identity', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, string(value))
		return err
	})
	if err != nil {
		return Identity{}, fmt.Errorf("write node identity: %w", err)
	}
	return id, nil
}

func readIdentity(tx *sql.Tx) (Identity, error) {
	var id Identity
	var value string
	err := tx.QueryRow(`SELECT value FROM meta WHERE key = 'identity'`).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return Identity{}, nil
	}
	if err != nil {
		return Identity{}, err
	}
	if err := json.Unmarshal([]byte(value), &id); err != nil {
		return Identity{}, err
	}
	return id, nil
}
